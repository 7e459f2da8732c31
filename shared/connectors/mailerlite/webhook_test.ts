import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { WEBHOOK_EVENTS } from "../../../simulators/mailerlite/webhook_table.ts";
import type { Json } from "../../merge/json.ts";
import { subscriberWebhook } from "./webhook.ts";

const { read, events } = subscriberWebhook;

const ID = "121212121212121212";
const NOTHING = { hints: [], ignored: 0, unreadable: 0 };

Deno.test("read() finds the id in a flat, a nested and a batched body", () => {
  const flat = { id: ID, email: "a@example.com", event: "subscriber.created", account_id: 1 };
  const nested = {
    type: "subscriber.added_to_group",
    subscriber: { id: ID, email: "a@example.com" },
    group: { id: "77", name: "VIP" },
  };
  assertEquals(read(flat), { ...NOTHING, hints: [{ id: ID, event: "subscriber.created" }] });
  assertEquals(read(nested), {
    ...NOTHING,
    hints: [{ id: ID, event: "subscriber.added_to_group" }],
  });
  assertEquals(read({ events: [flat, nested, flat], total: 3 }).hints.map(({ event }) => event), [
    "subscriber.created",
    "subscriber.added_to_group",
    "subscriber.created",
  ]);
  assertEquals(read({ events: [], total: 0 }), NOTHING);
});

Deno.test("read() takes subscriber.deleted in either form, and subscriber.active", () => {
  for (
    const body of [
      { event: "subscriber.deleted", id: ID },
      { type: "subscriber.deleted", subscriber: { id: ID } },
      { event: "subscriber.deleted", subscriber: { id: ID } },
      { event: "subscriber.active", id: ID },
    ]
  ) assertEquals(read(body).hints.map(({ id }) => id), [ID]);
});

Deno.test("read() ignores what is not about a subscriber, and what it does not know", () => {
  const bodies: Json[] = [
    { event: "campaign.sent", id: "5", name: "News", total_recipients: 12 },
    { event: "campaign.open", id: "5", subscriber: { id: ID } },
    { type: "campaign.click", subscriber: { id: ID } },
    { type: "subscriber.automation_triggered", subscriber: { id: ID }, automation: { id: "1" } },
    { event: "subscriber.eaten", id: ID },
    { event: "order.created", id: 4 },
    { event: "constructor", id: ID },
  ];
  for (const body of bodies) assertEquals(read(body), { ...NOTHING, ignored: 1 });
  assertEquals(read({ events: bodies }), { ...NOTHING, ignored: bodies.length });
});

Deno.test("read() counts what it cannot read, and never guesses an id", () => {
  const event = "subscriber.updated";
  const bodies: Json[] = [
    null,
    "subscriber.updated",
    7,
    [],
    [{ event, id: ID }],
    {},
    { id: ID },
    { event: "", id: ID },
    { event: 7, id: ID },
    { event },
    { event, id: null },
    { event, id: "" },
    { event, id: " 12" },
    { event, id: "-12" },
    { event, id: "1e3" },
    { event, id: "a@example.com" },
    { event, id: "1".repeat(21) },
    { event, id: ["12"] },
    // As JSON.parse gives 121212121212121213: already another one.
    { event, id: 121212121212121213 },
    { event, id: 12 },
    { event, subscriber: { id: 12 } },
    // Whose id the outer one would be, nobody has said.
    { event, id: ID, subscriber: { id: 12 } },
    { event, id: ID, subscriber: null },
    { type: event, id: ID },
    { type: event, subscriber: ID },
    { type: event, subscriber: { email: "a@example.com" } },
    { events: { event, id: ID } },
  ];
  for (const body of bodies) {
    assertEquals(read(body), { ...NOTHING, unreadable: 1 }, JSON.stringify(body));
  }
  const good = { event, id: ID };
  assertEquals(read({ events: [...bodies, good] }), {
    hints: [{ id: ID, event }],
    ignored: 0,
    unreadable: bodies.length,
  });
});

Deno.test("read() loses nothing and lets nothing but ids and known names through, whatever comes", () => {
  const item = fc.oneof(
    fc.jsonValue(),
    fc.record({
      event: fc.oneof(fc.constantFrom(...WEBHOOK_EVENTS), fc.string(), fc.jsonValue()),
      type: fc.oneof(fc.constantFrom(...WEBHOOK_EVENTS), fc.string()),
      id: fc.oneof(fc.stringMatching(/^\d{1,22}$/), fc.jsonValue()),
      subscriber: fc.oneof(
        fc.record({ id: fc.oneof(fc.stringMatching(/^\d{18}$/), fc.jsonValue()) }),
        fc.jsonValue(),
      ),
    }, { requiredKeys: [] }),
  );
  let hinted = 0;
  fc.assert(
    fc.property(fc.array(item), (items) => {
      const { hints, ignored, unreadable } = read({ events: items as Json[] });
      assertEquals(hints.length + ignored + unreadable, items.length);
      hinted += hints.length;
      for (const { id, event } of hints) {
        assert(/^\d{1,20}$/.test(id));
        assert(WEBHOOK_EVENTS.some((known) => known === event));
      }
    }),
    { numRuns: 500 },
  );
  assert(hinted > 0);
});

Deno.test("every event asked for is one there is, and all of them are hints", () => {
  assert(events.every((event) => WEBHOOK_EVENTS.some((known) => known === event)));
  for (const event of events) assertEquals(read({ event, id: ID }).hints, [{ id: ID, event }]);
});
