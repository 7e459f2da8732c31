/** Longest wait, in ms; only a fault makes it end. */
const PATIENCE_MS = 30_000;

/**
 * Asks again and again until the answer is there. For what another process does: a test cannot be
 * told of it, and how long it takes decides nothing.
 *
 * @param what what is awaited, for the message
 * @param look gives the answer, or undefined as long as there is none
 * @throws {Error} when there is none within 30 s
 */
export async function until<Answer>(
  what: string,
  look: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
