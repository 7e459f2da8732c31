/**
 * The remote listed nothing although pairs are linked. Far more often this is a
 * wrong token, a filter or a fault than an emptied account, so it proves nothing.
 */
export class RemoteEmptyError extends Error {
  override readonly name = "RemoteEmptyError";
  readonly code = "remote_empty";
  constructor(linked: number) {
    super(
      `Cannot trust the remote list: it holds no record while ${linked} pairs are linked. ` +
        "Check that the API key belongs to the right account",
    );
  }
}
