import type { TrippedGuard } from "../merge/guard_kinds.ts";

/** A run that was about to change more records of a dangerous kind than its limit allows. Nothing of it was written. */
export class GuardError extends Error {
  override readonly name = "GuardError";
  readonly code = "guard_tripped";
  constructor(readonly tripped: TrippedGuard, readonly linked: number) {
    super(
      `Cannot go on: ${tripped.count} ${tripped.kind} were planned for ${linked} linked records, ` +
        `and the limit is ${tripped.limit}`,
    );
  }
}
