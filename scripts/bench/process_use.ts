/** What a piece of work cost the process that did it, and the remote. */
export interface ProcessUse {
  /** From the first step of the work to its end; the start of the process is not in it. */
  readonly wallMs: number;
  /** CPU of the process in all, its start included. */
  readonly cpuMs: number;
  /** CPU the process had used when the work began. */
  readonly bootCpuMs: number;
  /** Most memory the process held at once, in bytes. */
  readonly peakRssBytes: number;
  /** Requests the remote counted. */
  readonly requests: number;
}
