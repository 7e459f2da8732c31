import { assertEquals, assertRejects } from "@std/assert";
import { inLanes } from "./lanes.ts";

Deno.test("inLanes does every job once, in turn, no more at once than there are lanes", async () => {
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const done = inLanes([0, 1, 2, 3, 4], 2, async (job) => {
    begun.push(job);
    await gates[job]?.promise;
  });
  assertEquals(begun, [0, 1]);
  // The lane that is free first takes the next job.
  gates[1]?.resolve();
  gates[2]?.resolve();
  while (begun.length < 4) await Promise.resolve();
  assertEquals(begun, [0, 1, 2, 3]);
  for (const gate of gates) gate.resolve();
  await done;
  assertEquals(begun, [0, 1, 2, 3, 4]);
});

Deno.test("inLanes begins nothing after a failure, and throws it when the others have ended", async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const gate = Promise.withResolvers<void>();
  const done = inLanes([0, 1, 2], 2, async (job) => {
    begun.push(job);
    if (job === 0) throw new RangeError("job 0");
    await gate.promise;
    ended.push(job);
  });
  gate.resolve();
  await assertRejects(() => done, RangeError, "job 0");
  assertEquals([begun, ended], [[0, 1], [1]]);
});
