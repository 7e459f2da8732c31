import { assert, assertEquals } from "@std/assert";
import { type Actor, Scheduler } from "./scheduler.ts";

function actor(name: string): Actor {
  return { name, dead: false, done: false, frozenUntil: 0, waits: 0, steps: 0 };
}

Deno.test("a statement that waits is left waiting, also for who has just got the lock it waited for", async () => {
  let blocked = 0;
  let asked = 0;
  const scheduler = new Scheduler(0, () => {
    if (++asked > 100) throw new Error("Cannot tell that the statement waits");
    return Promise.resolve(blocked);
  });
  const first = { actor: actor("first"), lock: Promise.withResolvers<string>() };
  const second = { actor: actor("second"), lock: Promise.withResolvers<string>() };
  const answers = [first, second].map(({ actor, lock }) =>
    scheduler.step({
      actor,
      kind: "statement",
      what: `update of ${actor.name}`,
      run: () => lock.promise,
      lost: () => new Error("lost"),
    })
  );
  const take = async (actor: Actor) => {
    const step = scheduler.ready().find((each) => each.actor === actor);
    assert(step !== undefined);
    await scheduler.perform(step);
  };

  blocked = 1;
  await take(first.actor);
  assert(scheduler.isParked(first.actor));
  // Its lock is given back by no step: a connection was lost.
  first.lock.resolve("first");
  await take(second.actor);
  assert(scheduler.isParked(second.actor));
  assert(!scheduler.isParked(first.actor));

  blocked = 0;
  second.lock.resolve("second");
  await scheduler.awaitParked();
  assertEquals(await Promise.all(answers), ["first", "second"]);
});
