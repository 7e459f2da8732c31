/**
 * Progress, as a bar on a terminal and as lines elsewhere.
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

/** How far something has come. */
export interface Progress {
  /** Done, as a share from 0 to 1. */
  readonly share: number;
  readonly isDone: boolean;
  /** What is counted, such as `batch 3/12`. */
  readonly parts: readonly string[];
  /** What is being done. */
  readonly phase: string;
}

/**
 * One line for progress of any kind.
 *
 * @param elapsedMs Time since the start, in ms.
 * @param columns Most characters of the line; a line that wrapped could not be overwritten.
 */
export function renderLine(progress: Progress, elapsedMs: number, columns = Infinity): string {
  const { share, isDone, parts, phase } = progress;
  const wide = columns >= WIDE_COLUMNS;
  const width = wide ? WIDE_CELLS : NARROW_CELLS;
  // Never a full bar before the end.
  const cells = isDone ? width : Math.min(width - 1, Math.floor(Math.min(1, share) * width));
  const line = [
    `${"█".repeat(cells)}${"░".repeat(width - cells)}`,
    ...parts,
    ...(wide ? [duration(elapsedMs)] : []),
    phase,
  ].join("  ");
  const characters = [...line];
  return characters.length <= columns
    ? line
    : `${characters.slice(0, Math.max(0, columns - 1)).join("")}…`;
}

function progressOf(status: BackfillStatus): Progress {
  const { currentBatch, totalBatches, shadowsCreated, errors, phase } = status;
  return {
    // While both sides are listed, how much there is to snapshot is not known yet.
    share: totalBatches === 0 ? 0 : currentBatch / totalBatches,
    isDone: status.status === "completed",
    parts: [
      `batch ${currentBatch}/${totalBatches === 0 ? "?" : totalBatches}`,
      `${count(shadowsCreated)} shadows`,
      `${count(errors)} ${errors === 1 ? "error" : "errors"}`,
    ],
    phase,
  };
}

/** One line for the status of a backfill; see {@linkcode renderLine}. */
export function renderProgress(
  status: BackfillStatus,
  elapsedMs: number,
  columns = Infinity,
): string {
  return renderLine(progressOf(status), elapsedMs, columns);
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

/** Shows one state after the other. */
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

  /** Shows a backfill's status; see {@linkcode ProgressBar.showProgress}. */
  show(status: BackfillStatus): void {
    this.showProgress(progressOf(status), status.status);
  }

  /**
   * Shows the state now, or where there is no terminal, every few seconds and when the work turns to something else.
   *
   * @param kind What else tells one kind of work from another besides the phase's words.
   */
  showProgress(progress: Progress, kind = ""): void {
    const now = this.#output.now();
    const columns = this.#output.columns();
    if (columns !== undefined) {
      const line = renderLine(progress, now - this.#start, columns);
      this.#output.write(`${REWIND}${line}`);
      this.#open = true;
      return;
    }
    const phaseKind = `${kind} ${progress.phase.replace(/[\d,.]+/g, "")}`;
    if (phaseKind === this.#lastPhaseKind && now - this.#lastLineAt < LINE_EVERY_MS) return;
    this.#lastPhaseKind = phaseKind;
    this.#lastLineAt = now;
    this.#output.write(`${renderLine(progress, now - this.#start)}\n`);
  }

  /** Leaves the last line standing. */
  end(): void {
    if (this.#open) this.#output.write("\n");
    this.#open = false;
  }
}
