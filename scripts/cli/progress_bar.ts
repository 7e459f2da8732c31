/**
 * The progress of a backfill, as a bar on a terminal and as lines elsewhere.
 *
 * @module
 */
import { count, duration } from "./format.ts";
import type { BackfillStatus } from "./sync_status.ts";

const WIDE_COLUMNS = 100;
const WIDE_CELLS = 24;
const NARROW_CELLS = 10;

/** A plain line at most this often, in ms. */
const LINE_EVERY_MS = 3_000;

/** Back to the line's start, and clear what was there. */
const REWIND = "\r\x1b[2K";

/**
 * One line for a status.
 *
 * @param elapsedMs Time since the start, in ms.
 * @param columns Most characters of the line; a line that wrapped could not be overwritten.
 */
export function renderProgress(
  status: BackfillStatus,
  elapsedMs: number,
  columns = Infinity,
): string {
  const { currentBatch, totalBatches } = status;
  // While both sides are listed, how much there is to snapshot is not known yet.
  const share = totalBatches === 0 ? 0 : Math.min(1, currentBatch / totalBatches);
  const wide = columns >= WIDE_COLUMNS;
  const width = wide ? WIDE_CELLS : NARROW_CELLS;
  // Never a full bar before the end.
  const cells = status.status === "completed"
    ? width
    : Math.min(width - 1, Math.floor(share * width));
  const line = [
    `${"█".repeat(cells)}${"░".repeat(width - cells)}`,
    `batch ${currentBatch}/${totalBatches === 0 ? "?" : totalBatches}`,
    `${count(status.shadowsCreated)} shadows`,
    `${count(status.errors)} ${status.errors === 1 ? "error" : "errors"}`,
    ...(wide ? [duration(elapsedMs)] : []),
    status.phase,
  ].join("  ");
  const characters = [...line];
  return characters.length <= columns
    ? line
    : `${characters.slice(0, Math.max(0, columns - 1)).join("")}…`;
}

/** Where progress is shown. */
export interface ProgressOutput {
  /** Writes without a line break of its own. */
  readonly write: (text: string) => void;
  /** Columns of the terminal, or undefined where the output is none. */
  readonly columns: () => number | undefined;
  /** Milliseconds since some fixed point. */
  readonly now: () => number;
}

/** Shows one status after the other. */
export class ProgressBar {
  readonly #output: ProgressOutput;
  readonly #start: number;
  #lastLineAt = -Infinity;
  #lastPhaseKind = "";
  #open = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
    this.#start = output.now();
  }

  /** Shows the status now, or where there is no terminal, every few seconds and when the work turns to something else. */
  show(status: BackfillStatus): void {
    const now = this.#output.now();
    const columns = this.#output.columns();
    if (columns !== undefined) {
      const line = renderProgress(status, now - this.#start, columns);
      this.#output.write(`${REWIND}${line}`);
      this.#open = true;
      return;
    }
    const kind = `${status.status} ${status.phase.replace(/[\d,.]+/g, "")}`;
    if (kind === this.#lastPhaseKind && now - this.#lastLineAt < LINE_EVERY_MS) return;
    this.#lastPhaseKind = kind;
    this.#lastLineAt = now;
    this.#output.write(`${renderProgress(status, now - this.#start)}\n`);
  }

  /** Leaves the last line standing. */
  end(): void {
    if (this.#open) this.#output.write("\n");
    this.#open = false;
  }
}
