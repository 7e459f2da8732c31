/** Raised when a run that was to be measured did not do its work; the message says which and why. */
export class MeasureError extends Error {
  override readonly name = "MeasureError";
}
