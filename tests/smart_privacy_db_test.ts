/** Whatever happens to smart-sync, nobody's address or value is in its log, and answers hold only what the caller sent. */
import { assert, assertEquals } from "@std/assert";
import { smartSync } from "../shared/http/smart_sync.ts";
import { functionRequest } from "./lib/function_harness.ts";
import { mortal } from "./lib/mortal.ts";
import { type PersonSpec, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

/** In every value of every person, so that none can get out unseen. */
const CANARY = "canary";

function canary(n: number): PersonSpec {
  const email = `${CANARY}${n}@example.com`;
  const fields = { name: `${CANARY} name`, city: `${CANARY} city`, phone: `${CANARY} phone` };
  return {
    client: { email, first_name: fields.name, city: fields.city, phone: fields.phone },
    subscriber: { email, fields },
  };
}

const EVERYTHING_FAILS = [
  { effect: { kind: "status", status: 422, body: { message: `${CANARY} is wrong` } } as const },
];

/** The answers to a call in all its forms, as texts. */
async function answersOf(world: TwoWayWorld, emails: readonly string[]): Promise<string[]> {
  const bodies = [{ emails }, { emails, repair: true }, { emails, dryRun: true }, {}, {
    mode: "full",
  }, { dryRun: true }];
  const texts: string[] = [];
  for (const body of bodies) {
    const { headers: _, ...answer } = await world.smart(body);
    texts.push(JSON.stringify(answer));
    await world.pool.query(`update public.sync_queue set not_before = now()`);
  }
  return texts;
}

function assertPrivate(texts: readonly string[], sent: readonly string[]): void {
  for (const text of texts) {
    const rest = sent.reduce((left, email) => left.replaceAll(JSON.stringify(email), ""), text);
    assert(!rest.includes(CANARY), rest);
  }
}

Deno.test("no address and no value gets into a log line, or into an answer whose caller did not send it", async () => {
  await using world = await twoWayWorld(import.meta.url, [1, 2, 3, 4, 5, 6, 7].map(canary));
  const named = [1, 2, 3, 4].map((n) => `${CANARY}${n}@example.com`);
  await world.editClient(1, { last_name: `${CANARY} edited` });
  await world.editClient(2, { email: `${CANARY}@nowhere` });
  world.simulator.change(named[2] ?? "", { email: `${CANARY}3b@example.com` });
  await world.editClient(3, { email: `${CANARY}3a@example.com` });
  await world.editClient(5, { city: `${CANARY} moved` });
  await world.addClientAs(crypto.randomUUID(), 8, { email: named[3] });
  await world.addClientAs(crypto.randomUUID(), 9, { email: `${CANARY}9@example.com` });
  world.simulator.seed({
    subscribers: [{ email: `${CANARY}10@example.com`, fields: { city: `${CANARY} new` } }],
  });
  const sent = [...named, `${CANARY}2@example.com `, `${CANARY}10@example.com`];
  assertPrivate(await answersOf(world, sent), sent);
  world.simulator.setFaults(EVERYTHING_FAILS);
  assertPrivate(await answersOf(world, sent), sent);
  world.simulator.setFaults([{ effect: { kind: "reset", when: "before" } }]);
  assertPrivate(await answersOf(world, sent), sent);
  assert(world.harness.log.length > 10);
  assert(!JSON.stringify(world.harness.log).includes(CANARY));
  const kept = await world.pool.query(
    `select to_jsonb(r) as row from public.sync_runs r
     union all select to_jsonb(f) from public.sync_findings f
     union all select to_jsonb(q) from public.sync_queue q
     union all select to_jsonb(s) from public.sync_state s
     union all select to_jsonb(x) from public.sync_failures x
     union all select to_jsonb(i) - 'payload' from public.sync_intents i`,
  );
  assert(!JSON.stringify(kept).includes(CANARY));
});

Deno.test("neither does one of a worker that dies, or of a request that is refused", async () => {
  await using world = await twoWayWorld(import.meta.url, [1, 2].map(canary));
  await world.editClient(1, { last_name: `${CANARY} edited` });
  const emails = [`${CANARY}1@example.com`];
  for (let step = 1; step <= 30; step++) {
    const { runtime } = mortal(world.harness, { at: step, moment: "before" });
    const { headers: _, ...answer } = await world.smart({ emails }, runtime);
    assertPrivate([JSON.stringify(answer)], emails);
    await world.pool.query(`delete from public.sync_state where key = 'circuit_breaker'`);
  }
  const [email] = emails;
  const bodies = [{ emails: [email, 7] }, { mode: email }, { [String(email)]: 1 }, {
    emails: [`${email}\0`],
  }];
  for (const body of bodies) {
    const handle = smartSync(world.config, world.harness.runtime());
    const response = await handle(functionRequest("smart-sync", body));
    const text = await response.text();
    assertEquals(response.status, 400);
    assert(!text.includes(CANARY), text);
  }
  assert(!JSON.stringify(world.harness.log).includes(CANARY));
});
