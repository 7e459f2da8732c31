/**
 * Waits until all of them have ended, and then fails as the first in the list that did.
 *
 * `Promise.all` fails at once and leaves the others under way: a worker that has
 * given up its lease would still be reading and writing.
 */
export async function waitForAll<const Values extends readonly unknown[]>(
  values: Values,
): Promise<{ -readonly [Index in keyof Values]: Awaited<Values[Index]> }> {
  await Promise.allSettled(values);
  return await Promise.all(values);
}
