import { RemoteError } from "./remote_error.ts";

/**
 * Records that were asked for by id or key, exist, and cannot be used. They must
 * not be taken for absent; the others can be had by asking again without them.
 */
export class UnreadableRecordsError extends RemoteError {
  constructor(
    /** Positions in the list that was asked for. */
    readonly indexes: readonly number[],
    /** Why the first of them cannot be used, without any value. */
    reason: string,
  ) {
    super(
      "rejected",
      "unreadable_record",
      `Cannot read ${indexes.length} of the records asked for: ${reason}`,
    );
  }
}
