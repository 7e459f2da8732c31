/**
 * A run of enterprise-sync in the middle of which something happens.
 *
 * @module
 */
import { assert } from "@std/assert";
import { type Step, watched } from "./mortal.ts";
import type { EnterpriseAnswer, TwoWayWorld } from "./two_way_world.ts";

/** Tells one step of a worker from the others. */
export type Matcher = (step: Step) => boolean;

function statement(part: string): Matcher {
  return ({ kind, what }) => kind === "statement" && what.includes(part);
}

/** The work list is laid down; nothing of it has been looked at. */
export const PLANNED: Matcher = ({ what }) =>
  what.startsWith("select") && what.includes("sync_work");
/** The records of a stretch are locked and about to be read. */
export const LOCKED = statement("with item as (");
/** What the remote holds is known, and intents are about to be written. */
export const CONFIRMED = statement("insert into public.sync_intents");
/** The remote is written, and the transaction that commits has just begun. */
export const COMMITTING = statement("sync.writer");
/** The remote is written, and side A's transaction is about to lock its rows. */
export const WRITTEN = statement("for update of t skip locked");

/** Nothing stands in the way of making a client, and it is about to be made. */
export const MAKING = statement('insert into "public"."clients"');

/** A request that writes subscribers with a method, alone or in a batch. */
export function sends(method: string): Matcher {
  return ({ kind, what, body }) =>
    kind === "request" &&
    (what.startsWith(`${method} /api/subscribers`) ||
      body.some((text) => String(text).includes(`"method":"${method}"`)));
}

/** A run in the middle of which something happens: once, before the first such step, which has to come. */
export async function syncWith(
  world: TwoWayWorld,
  matches: Matcher,
  act: () => unknown,
  body: Readonly<Record<string, unknown>> = {},
): Promise<EnterpriseAnswer & { readonly status: number }> {
  let happened = false;
  const runtime = watched(world.harness, {
    async before(step) {
      if (happened || !matches(step)) return;
      happened = true;
      await act();
    },
  });
  const answer = await world.sync(body, runtime);
  assert(happened, "the step never came");
  return answer;
}
