/** What any answer may hold; a test looks at what its answer has. */
export interface AnswerBody {
  readonly ok: boolean;
  readonly status: string;
  readonly stopReason: string;
  readonly phase: string;
  readonly runId: string;
  readonly slices: number;
  readonly errors: number;
  readonly currentBatch: number;
  readonly totalBatches: number;
  readonly counters: { readonly [name: string]: number };
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly details: {
    readonly runId: string;
    readonly heartbeatAgeMs: number;
    readonly reason: string;
    readonly variable: string;
    readonly issues: readonly { readonly path: string }[];
    readonly fields: readonly { readonly path: string }[];
  };
}
