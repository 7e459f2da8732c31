/** Side A's table is empty although records of it are linked: a wrong table or a mishap, not a wish to delete everybody. */
export class LocalEmptyError extends Error {
  override readonly name = "LocalEmptyError";
  readonly code = "local_empty";
  constructor(linked: number) {
    super(`Cannot use the table: it is empty although ${linked} records of it are linked`);
  }
}
