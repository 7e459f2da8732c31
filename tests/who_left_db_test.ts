/**
 * That who left stays gone, also when what knew of it is renewed, given up or not yet written.
 *
 * The invariants, by number: 5 no resurrection, 11 consent is never raised.
 */
import { assertEquals } from "@std/assert";
import { address, clientId, type PersonSpec, twoWayWorld } from "./lib/two_way_world.ts";

const UNSUBSCRIBED: PersonSpec = {
  client: { marketing_status: "unsubscribed" },
  subscriber: { status: "unsubscribed" },
};

function otherId(n: number): string {
  return clientId(n + 1_000_000);
}

Deno.test("11: a backfill does not forget the address under which somebody left and which both sides have given up", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}]);
  await world.editClient(1, { email: "moved@example.com" });
  world.editSubscriber(1, { email: "moved@example.com" });
  assertEquals(await world.backfill({ wait: true, staleAfterDays: 0 }), 200);
  await world.sync();
  await world.addClientAs(otherId(1), 1);
  await world.sync();
  assertEquals(world.subscriber(1), undefined);
});
