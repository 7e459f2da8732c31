/** smart-sync itself, in processes of its own, called as an app calls it. */
import { createClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Stack } from "../stack/stack.ts";
import { MeasureError } from "./measure_error.ts";
import type { SyncedWorld } from "./synced_world.ts";

const NAME = "smart-sync";
const MAX_CALLS = 100;

const answerSchema = z.object({
  count: z.number(),
  out: z.array(z.object({
    changed: z.boolean().optional(),
    reason: z.string().optional(),
    error: z.string().optional(),
  })),
  remaining: z.number().optional(),
  stopReason: z.string().optional(),
  guard: z.unknown().optional(),
});

type Answer = z.infer<typeof answerSchema>;

/** People who are in sync, by the address they are named by. */
export interface Person {
  readonly id: string;
  readonly email: string;
}

/** People linked, each with an address of their own. */
export async function readPeople({ database }: SyncedWorld): Promise<Person[]> {
  return await database.query<Person>(
    `select c.id::text as id, c.email
     from (
       select id, email, count(*) over (partition by lower(btrim(email))) as sharers
       from public.clients
     ) c
     join public.integration_crosswalk cw on cw.a_id = c.id and cw.link_state = 'linked'
     join public.shadow_snapshots s on s.crosswalk_id = cw.id and s.a = s.b
     where c.sharers = 1
     order by cw.id`,
  );
}

async function call(stack: Stack, body: unknown): Promise<Answer> {
  const supabase = createClient(stack.url, stack.keys.secret["default"] ?? "");
  const { data, error } = await supabase.functions.invoke(NAME, {
    body: body as Record<string, unknown>,
  });
  if (error !== null) throw new MeasureError(`Cannot measure: ${NAME} failed: ${error.message}`);
  const answer = answerSchema.parse(data);
  if (answer.guard !== undefined || answer.out.some((entry) => entry.error !== undefined)) {
    throw new MeasureError(`Cannot measure: ${NAME} left records out`);
  }
  return answer;
}

async function edit({ database }: SyncedWorld, people: readonly Person[], mark: string) {
  await database.query(
    `update public.clients set first_name = $2 where id = any ($1::uuid[])`,
    [people.map(({ id }) => id), `Edited ${mark}`],
  );
}

/** Takes away what earlier measurements have counted and left: the day's quota and limits, and the queue. */
export async function settleSmart(synced: SyncedWorld): Promise<void> {
  await synced.database.query(`delete from public.sync_runs where function = $1`, [NAME]);
  await synced.database.query(`delete from public.sync_queue`);
  await synced.database.query(
    `update public.sync_state set value = '{}' where key = 'daily_quota'`,
  );
  await synced.settle();
}

/** What a call took. */
export interface SmartCallCost {
  readonly wallMs: number;
  readonly requests: number;
}

/**
 * Names people of whom some were edited on side A.
 *
 * @throws {MeasureError} If not just those are changed.
 */
export async function measureNamed(
  synced: SyncedWorld,
  stack: Stack,
  people: readonly Person[],
  edited: number,
  mark: string,
): Promise<SmartCallCost> {
  const { control } = synced.world;
  await edit(synced, people.slice(0, edited), mark);
  await control.resetRequests();
  const begin = performance.now();
  const { out } = await call(stack, { emails: people.map(({ email }) => email) });
  const wallMs = performance.now() - begin;
  const changed = out.filter((entry) => entry.changed).length;
  if (changed !== edited || out.length !== people.length) {
    throw new MeasureError(`Cannot measure: ${changed} of ${edited} edited people were changed`);
  }
  return { wallMs, requests: (await control.requests()).total };
}

/**
 * Edits people on side A and lets workers drain the queue, each in its own process.
 *
 * @returns How long it took, in ms.
 * @throws {MeasureError} If not just those are changed, once each.
 */
export async function measureDrain(
  synced: SyncedWorld,
  stacks: readonly Stack[],
  people: readonly Person[],
  mark: string,
): Promise<number> {
  await settleSmart(synced);
  await edit(synced, people, mark);
  const begin = performance.now();
  const reasons = new Map<string, number>();
  const done = await Promise.all(stacks.map(async (stack) => {
    let changed = 0;
    for (let calls = 0; calls < MAX_CALLS; calls++) {
      const answer = await call(stack, {});
      changed += answer.out.filter((entry) => entry.changed).length;
      for (const { reason } of answer.out) {
        if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
      if (answer.remaining === 0) return changed;
    }
    throw new MeasureError(`Cannot measure: the queue was not empty after ${MAX_CALLS} calls`);
  }));
  const wallMs = performance.now() - begin;
  const changed = done.reduce((sum, n) => sum + n, 0);
  if (changed !== people.length) {
    throw new MeasureError(
      `Cannot measure: ${changed} of ${people.length} edits were carried over by ${stacks.length} workers; the others: ${
        JSON.stringify(Object.fromEntries(reasons))
      }`,
    );
  }
  return wallMs;
}

/** Starts the function in a process of its own, warm. */
export async function startSmart(synced: SyncedWorld, person: Person): Promise<Stack> {
  const stack = await synced.startStack();
  await stack.functions.start(NAME);
  for (let calls = 0; calls < 3; calls++) await call(stack, { emails: [person.email] });
  return stack;
}
