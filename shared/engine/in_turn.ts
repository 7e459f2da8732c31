const turns = new WeakMap<object, Promise<unknown>>();

/**
 * Does one piece of work after the other, of those that share an owner.
 *
 * A batch holds one connection of its isolate's small pool for its locks while it
 * needs others. Of several calls at once each could hold one and wait for the next
 * for ever.
 */
export async function inTurn<Result>(owner: object, work: () => Promise<Result>): Promise<Result> {
  const before = turns.get(owner) ?? Promise.resolve();
  const done = before.then(work);
  turns.set(owner, done.catch(() => {}));
  return await done;
}
