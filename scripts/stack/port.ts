import type { Child } from "./child_process.ts";

/** A port of 127.0.0.1 that nothing listens on right now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/**
 * Waits until a child listens on a port of 127.0.0.1.
 *
 * @param timeoutMs longest time to wait, in ms
 * @returns false when the child has ended or the time is over
 */
export async function listens(port: number, child: Child, timeoutMs: number): Promise<boolean> {
  let ended = false;
  child.exited.then(() => ended = true);
  const deadline = Date.now() + timeoutMs;
  while (!ended && Date.now() < deadline) {
    try {
      using _ = await Deno.connect({ hostname: "127.0.0.1", port });
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return false;
}
