import type { GrantReport, TakeAnswer } from "./token_bucket_store.ts";

/** One block of tokens in a worker's hands, on the worker's own clock. */
export class TokenGrant {
  readonly id: number;
  /** Tokens may be used before this, in ms of the worker's clock. */
  readonly useBy: number;
  /** When each unsent token may be used, soonest first. */
  #unsent: number[];
  #sent = 0;
  #inFlight = 0;
  #answeredAt: number[] = [];
  #changed = false;

  /**
   * @param askedAt When the call was sent: the life counts from there, so that it ends no later than the database thinks.
   * @param toldAt When the answer arrived: offsets count from there, so that no token is used earlier than the database thinks.
   */
  constructor(
    id: number,
    answer: TakeAnswer,
    lifeMs: number,
    askedAt: number,
    toldAt: number,
  ) {
    this.id = id;
    this.useBy = askedAt + lifeMs;
    this.#unsent = answer.offsetsMs.map((offset) => toldAt + offset);
  }

  /** When the n-th unsent token, or else the last one, is due; undefined if there is none. */
  dueAt(n = 0): number | undefined {
    return this.#unsent[Math.min(n, this.#unsent.length - 1)];
  }

  /** Unsent tokens that are due. */
  ready(now: number): number {
    return this.#unsent.filter((at) => at <= now).length;
  }

  /** Tokens used so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether tokens were there to be used and nobody came. */
  get wentUnused(): boolean {
    return this.#unsent.some((at) => at < this.useBy);
  }

  /** Uses the next token. */
  send(): void {
    this.#unsent.shift();
    this.#sent++;
    this.#inFlight++;
  }

  /** Takes note of an answer. */
  answer(now: number): void {
    this.#inFlight--;
    this.#answeredAt.push(now);
    this.#changed = true;
  }

  /** Lets go of what is unsent; the next report gives it back. */
  giveUp(): void {
    this.#unsent = [];
    this.#changed = true;
  }

  /** Whether there is anything the database does not know. */
  get changed(): boolean {
    return this.#changed;
  }

  /** What the database has to know. A report tells the whole, so that one whose answer was lost may be sent again. */
  report(now: number): GrantReport {
    this.#changed = false;
    return {
      id: this.id,
      answeredMs: this.#answeredAt.map((at) => Math.max(Math.floor(now - at), 0)),
      inFlight: this.#inFlight,
    };
  }

  /** The report has arrived. Returns whether the grant is over. */
  reported(report: GrantReport): boolean {
    this.#answeredAt = this.#answeredAt.slice(report.answeredMs.length);
    return this.#inFlight === 0 && this.#answeredAt.length === 0 &&
      this.#unsent.length === 0;
  }

  /** The report was not confirmed. */
  unreported(): void {
    this.#changed = true;
  }
}
