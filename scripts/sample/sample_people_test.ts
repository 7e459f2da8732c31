import { assert, assertEquals } from "@std/assert";
import { canonicalKey } from "../../shared/merge/canonical.ts";
import { samplePeople } from "./sample_people.ts";

const SIZE = { pairs: 3_000, sharedAddresses: 5, onlyLocal: 7, onlyRemote: 9, drift: 30 };

Deno.test("samplePeople() makes the numbers asked for, and the same for the same seed", () => {
  const people = samplePeople(SIZE);
  const clients = [...people.clients()];
  const subscribers = [...people.subscribers()];
  assertEquals(clients.length, 3_000 + 2 * 5 + 7);
  assertEquals(subscribers.length, 3_000 + 5 + 9);
  assertEquals(new Set(clients.map((c) => c.id)).size, clients.length);
  assertEquals([...samplePeople(SIZE).clients()], clients);
  assert(JSON.stringify([...samplePeople(SIZE, 2).clients()]) !== JSON.stringify(clients));
});

Deno.test("samplePeople() gives each pair one key on both sides, however it was typed", () => {
  const people = samplePeople(SIZE);
  const keys = new Map<string, number>();
  for (const { email } of people.clients()) {
    const key = canonicalKey(email, "lower-trim");
    keys.set(key, (keys.get(key) ?? 0) + 1);
  }
  let unique = 0;
  let shared = 0;
  for (const { email } of people.subscribers()) {
    const clients = keys.get(canonicalKey(email, "lower-trim"));
    if (clients === 1) unique++;
    if (clients === 2) shared++;
  }
  assertEquals([unique, shared], [3_000, 5]);
});
