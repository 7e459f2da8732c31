import type { Database } from "./database.ts";

/** One call of the shared bucket; each member is explained at the function's parameters. */
export interface TokenTake {
  readonly bucket: string;
  readonly budget: number;
  readonly windowMs: number;
  readonly want: number;
  readonly reserve: number;
  readonly maxWaitMs: number;
  readonly lifeMs: number;
  readonly flightMs: number;
  readonly reports: readonly {
    readonly id: number;
    readonly answeredMs: readonly number[];
    readonly inFlight: number;
  }[];
  readonly observed: {
    readonly sentMs: number;
    readonly remaining: number;
  } | null;
  readonly retryAfterMs: number | null;
}

interface GrantRow {
  readonly grant_id: string | null;
  readonly offsets: number[];
  readonly wait_ms: number;
}

// The casts let the statement be planned without a prepared name, through a pooler too.
const TAKE_TOKENS = `
select grant_id, offsets, wait_ms from public.sync_take_tokens(
  p_bucket => $1::text, p_budget => $2::integer, p_window_ms => $3::integer,
  p_want => $4::integer, p_reserve => $5::integer, p_max_wait_ms => $6::integer,
  p_life_ms => $7::integer, p_flight_ms => $8::integer, p_reports => $9::jsonb,
  p_sent_ms => $10::integer, p_remaining => $11::integer,
  p_retry_after_ms => $12::integer, p_now => $13::bigint
)`;

/** Token buckets in the database, under `token_bucket_state` of `sync_state`. */
export class DatabaseTokenBuckets {
  readonly #database: Database;
  readonly #now: (() => number) | null;

  /**
   * @param now Milliseconds since 1970, to let tests set the time; default the database's clock, the one all workers have in common.
   */
  constructor(database: Database, now: (() => number) | null = null) {
    this.#database = database;
    this.#now = now;
  }

  /** Reports, and takes up to `want` tokens, in one statement. */
  async take(take: TokenTake): Promise<
    { grantId: number | null; offsetsMs: readonly number[]; waitMs: number }
  > {
    const reports = take.reports.map((report) => ({
      id: report.id,
      answered: report.answeredMs,
      in_flight: report.inFlight,
    }));
    const rows = await this.#database.query<GrantRow>(TAKE_TOKENS, [
      take.bucket,
      take.budget,
      take.windowMs,
      take.want,
      take.reserve,
      take.maxWaitMs,
      take.lifeMs,
      take.flightMs,
      JSON.stringify(reports),
      take.observed?.sentMs ?? null,
      take.observed?.remaining ?? null,
      take.retryAfterMs,
      this.#now?.() ?? null,
    ]);
    const row = rows[0];
    if (row === undefined) {
      throw new Error("Cannot take tokens: sync_take_tokens answered no row");
    }
    return {
      grantId: row.grant_id === null ? null : Number(row.grant_id),
      offsetsMs: row.offsets,
      waitMs: row.wait_ms,
    };
  }
}
