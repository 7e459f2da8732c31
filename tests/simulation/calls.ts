/**
 * The calls that come in: schedules, apps, people and the remote's webhooks.
 *
 * @module
 */
import type { Runtime } from "../../shared/http/runtime.ts";
import { backfillSync } from "../../shared/http/backfill_sync.ts";
import { enterpriseSync } from "../../shared/http/enterprise_sync.ts";
import { smartSync } from "../../shared/http/smart_sync.ts";
import type { World } from "./world.ts";
import { SECRET_KEY } from "./world.ts";
import { type Call, Worker, type WorkerWorld } from "./worker.ts";

const FUNCTIONS = {
  "backfill-sync": backfillSync,
  "enterprise-sync": enterpriseSync,
  "smart-sync": smartSync,
} as const;

/** A function's name. */
export type FunctionName = keyof typeof FUNCTIONS;

const KINDS = ["deletes", "unsubscribes", "blanks", "updates"];

/** Starts a call in a process of its own. */
export function startCall(world: World, workerWorld: WorkerWorld, call: Call): Worker {
  const worker = new Worker(`w${world.workers.length + 1}`, call, workerWorld);
  world.workers.push(worker);
  const name = Object.keys(FUNCTIONS).find((each): each is FunctionName =>
    each === call.functionName
  );
  if (name === undefined) {
    throw new Error(`Cannot call ${call.functionName}: there is no such function`);
  }
  const handle = async (runtime: Runtime) => {
    const request = new Request(`http://project.test/functions/v1/${name}`, {
      method: "POST",
      headers: { apikey: SECRET_KEY, "content-type": "application/json" },
      body: JSON.stringify(call.body),
    });
    return await FUNCTIONS[name](world.config, runtime)(request);
  };
  worker.start(handle).catch((error: unknown) => {
    world.violate(
      "every call is answered as documented",
      `${worker.name} threw ${
        error instanceof Error ? `${error.name} ${error.stack}` : "something"
      }`,
    );
  });
  return worker;
}

/** What tells cursors apart that do not fit each other's runs. */
export function laneOf({ direction, dryRun, plan }: Call["body"]): string {
  return JSON.stringify([direction, dryRun, plan]);
}

/** Draws a call. */
export function anyCall(world: World, cursors: ReadonlyMap<string, readonly string[]>): Call {
  const { dice } = world;
  const kind = dice.weighted({ enterprise: 10, named: 4, drain: 4, backfill: 1.5 });
  switch (kind) {
    case "named":
      return { functionName: "smart-sync", body: anyNamed(world) };
    case "drain":
      return {
        functionName: "smart-sync",
        body: {
          mode: dice.chance(0.8) ? "bidirectional" : dice.of("AtoB", "BtoA"),
          dryRun: dice.chance(0.05),
        },
      };
    case "backfill":
      return {
        functionName: "backfill-sync",
        body: {
          action: dice.of("start", "start", "resume", "pause", "status"),
          wait: true,
          autoContinue: dice.chance(0.5),
          force: dice.chance(0.2),
          staleAfterDays: dice.of(30, 0),
        },
      };
    default:
      return { functionName: "enterprise-sync", body: anyEnterprise(world, cursors) };
  }
}

function anyEnterprise(
  world: World,
  cursors: ReadonlyMap<string, readonly string[]>,
): Call["body"] {
  const { dice } = world;
  const direction = dice.chance(0.75)
    ? "both"
    : dice.of("mailerlite-to-supabase", "supabase-to-mailerlite");
  const lane = { direction, dryRun: dice.chance(0.08), plan: dice.chance(0.04) };
  const own = cursors.get(laneOf(lane)) ?? [];
  const cursor = dice.chance(0.5)
    ? own.at(-1)
    : dice.chance(0.3)
    ? dice.one(own)
    : dice.chance(0.03)
    ? dice.one([...cursors.values()].flat())
    : undefined;
  return {
    ...lane,
    maxRecords: dice.chance(0.5) ? 300 : dice.whole(1, 12),
    maxDurationMs: dice.chance(0.8) ? 120_000 : dice.whole(1_000, 5_000),
    ...(cursor === undefined ? {} : { cursor }),
    ...(dice.chance(0.3) ? { override: { guards: KINDS, reason: "simulation" } } : {}),
  };
}

function anyNamed(world: World): Call["body"] {
  const { dice, local, remote } = world;
  const known = [
    ...[...local.clients.values()].map(({ email }) => String(email ?? "")),
    ...[...remote.rows.values()].map(({ email }) => email),
    "nobody@example.com",
  ].filter((email) => email.trim() !== "");
  const emails = Array.from(
    { length: dice.whole(1, 5) },
    () => dice.one(known) ?? "nobody@example.com",
  );
  return {
    emails,
    mode: dice.chance(0.7) ? "bidirectional" : dice.of("AtoB", "BtoA", "full"),
    repair: dice.chance(0.25),
    dryRun: dice.chance(0.08),
  };
}

/** A full run that may do whatever it has to. */
export const FULL_RUN: Call = {
  functionName: "enterprise-sync",
  body: {
    direction: "both",
    maxRecords: 100_000,
    override: { guards: KINDS, reason: "simulation" },
  },
};

/** A call that works off the queue. */
export const DRAIN: Call = { functionName: "smart-sync", body: {} };
