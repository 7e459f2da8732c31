import { assertEquals } from "@std/assert";
import { Leases } from "./leases.ts";
import type { Worker } from "./worker.ts";

const STATEMENT = "with fence as (select 1 from runs where id = $1 and fencing = $2) select 1";

function workers(): [Worker, Worker] {
  const worker = (name: string) => ({ name }) as unknown as Worker;
  return [worker("one"), worker("other")];
}

Deno.test("what goes through once another has the run is told", () => {
  const leases = new Leases();
  const [one, other] = workers();
  assertEquals(leases.note(one, STATEMENT, ["run", 2], [{}]), false);
  assertEquals(leases.note(other, STATEMENT, ["run", 3], [{}]), false);
  assertEquals(leases.note(one, STATEMENT, ["run", 2], [{}]), true);
  assertEquals([leases.isOver(one), leases.isOver(other)], [true, false]);
});

Deno.test("what the fence holds back, and what another run does, is nothing to tell", () => {
  const leases = new Leases();
  const [one, other] = workers();
  leases.note(one, STATEMENT, ["run", 2], [{}]);
  leases.note(other, STATEMENT, ["run", 3], [{}]);
  assertEquals(leases.note(one, STATEMENT, ["run", 2], []), false);
  assertEquals(leases.note(one, STATEMENT, ["its own", 1], [{}]), false);
  assertEquals(leases.note(one, "select $1, $2", ["run", 2], [{}]), false);
  assertEquals(leases.isOver(one), false);
});
