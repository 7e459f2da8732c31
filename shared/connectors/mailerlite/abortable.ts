import { RemoteError } from "../remote_error.ts";

/**
 * Starts a wait and gives it up when the signal aborts. For waits before a
 * request is sent, so that giving up leaves nothing in doubt.
 *
 * @param call The call that waits, for the message.
 * @param whenLate Gets the result of a wait that ends after it was given up.
 * @throws {RemoteError} `aborted`, if the signal aborts first.
 */
export async function abortable<T>(
  start: () => Promise<T>,
  signal: AbortSignal,
  call: string,
  whenLate: (result: T) => void = () => {},
): Promise<T> {
  const error = () => new RemoteError("retryable", "aborted", `Cannot send ${call}: stopped`);
  if (signal.aborted) throw error();
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(error());
  signal.addEventListener("abort", stop, { once: true });
  try {
    const work = start();
    stopped.promise.catch(() => work.then(whenLate, () => {}));
    return await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
