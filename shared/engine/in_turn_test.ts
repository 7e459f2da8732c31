import { assertEquals, assertRejects } from "@std/assert";
import { inTurn } from "./in_turn.ts";

Deno.test("inTurn() begins a piece of work when the one before it has ended, however it ended", async () => {
  const owner = {};
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = inTurn(owner, async () => {
    seen.push("first begins");
    await gate.promise;
    throw new TypeError("first");
  });
  const second = inTurn(owner, () => Promise.resolve(seen.push("second")));
  const other = await inTurn({}, () => Promise.resolve("another owner waits for nobody"));
  assertEquals([other, seen], ["another owner waits for nobody", ["first begins"]]);
  gate.resolve();
  await assertRejects(() => first, TypeError);
  await second;
  assertEquals(seen, ["first begins", "second"]);
});
