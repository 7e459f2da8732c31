import type { FaultRule } from "./faults.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import type { MailerLiteSimulator } from "./simulator.ts";
import { checkSwitches } from "./switches.ts";
import type { ControlChange, Limits, Seed, SeedLine, SeedSubscriber } from "./types.ts";
import type { WebhookKnobs } from "./webhook_table.ts";

/** Where the control API lives; the simulated API never answers below it and nothing here is counted. */
export const CONTROL_PREFIX = "/__control/";

/** An answer of the control API: JSON, or lines of it. */
export type ControlAnswer = { status: number; json: unknown } | {
  status: number;
  lines: Iterable<string>;
};

/** Subscribers a seed takes in at once, so that a long stream is never held whole. */
const SEED_CHUNK = 5000;

/** Splits a stream of bytes into lines. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** Seeds from a stream of NDJSON; groups and fields should stand before the subscribers that need them. */
export function seedLines(
  simulator: MailerLiteSimulator,
  body: AsyncIterable<Uint8Array>,
): Promise<number> {
  return seedEntries(simulator, parsed(body));
}

async function* parsed(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  for await (const line of readLines(body)) if (line.trim() !== "") yield JSON.parse(line);
}

/** As {@linkcode seedLines}, of lines that are parsed already. */
export async function seedEntries(
  simulator: MailerLiteSimulator,
  entries: AsyncIterable<unknown>,
): Promise<number> {
  let seeded = 0;
  let subscribers: SeedSubscriber[] = [];
  const flush = (): void => {
    seeded += simulator.seed({ subscribers }).subscribers;
    subscribers = [];
  };
  for await (const value of entries) {
    const entry = value as SeedLine;
    if ("group" in entry) simulator.seed({ groups: [entry.group] });
    else if ("field" in entry) simulator.seed({ fields: [entry.field] });
    else subscribers.push(entry);
    if (subscribers.length >= SEED_CHUNK) flush();
  }
  flush();
  return seeded;
}

async function readJson(body: AsyncIterable<Uint8Array>): Promise<Json> {
  let text = "";
  for await (const line of readLines(body)) text += `${line}\n`;
  return text.trim() === "" ? {} : JSON.parse(text) as Json;
}

async function readObject(body: AsyncIterable<Uint8Array>): Promise<JsonObject> {
  const value = await readJson(body);
  if (!isJsonObject(value)) {
    throw new TypeError("Cannot read the control request: its body must be a JSON object");
  }
  return value;
}

type Action = (
  simulator: MailerLiteSimulator,
  body: AsyncIterable<Uint8Array>,
  type: string,
) => unknown;

const done = { ok: true };

const ACTIONS: Readonly<Record<string, Action>> = {
  "POST seed": async (simulator, body, type) =>
    type.includes("ndjson")
      ? { subscribers: await seedLines(simulator, body) }
      : simulator.seed(await readObject(body) as Seed),
  "GET counts": (simulator) => simulator.counts(),
  "GET requests": (simulator) => simulator.requestReport(),
  "DELETE requests": (simulator) => (simulator.resetRequests(), done),
  "GET history": (simulator) => simulator.history(),
  "DELETE history": (simulator) => (simulator.resetHistory(), done),
  "GET switches": (simulator) => simulator.switches(),
  "PUT switches": async (simulator, body) => {
    simulator.setSwitches(checkSwitches(await readObject(body)));
    return simulator.switches();
  },
  "GET faults": (simulator) => simulator.faults(),
  "PUT faults": async (simulator, body) => {
    const rules = await readJson(body);
    if (!Array.isArray(rules)) {
      throw new TypeError("Cannot set faults: the body must be an array of rules");
    }
    simulator.setFaults(rules as unknown as FaultRule[]);
    return simulator.faults();
  },
  "PUT limits": async (simulator, body) => {
    simulator.setLimits(await readObject(body) as Partial<Limits>);
    return done;
  },
  "POST advance": async (simulator, body) => {
    const { ms } = await readObject(body);
    if (typeof ms !== "number") {
      throw new TypeError("Cannot advance the clock: ms must be a number of milliseconds");
    }
    simulator.advance(ms);
    return { now: simulator.now(), webhookAttempts: await simulator.pumpWebhooks() };
  },
  "POST change": async (simulator, body) => {
    const { key, ...change } = await readObject(body);
    simulator.change(String(key), change as ControlChange);
    return done;
  },
  "POST remove": async (simulator, body) => {
    simulator.remove(String((await readObject(body))["key"]));
    return done;
  },
  "GET webhooks": (simulator) => simulator.webhookAttempts(),
  "PUT webhooks": async (simulator, body) => {
    simulator.setWebhookKnobs(await readObject(body) as Partial<WebhookKnobs>);
    return done;
  },
  "POST webhooks": async (simulator) => ({ webhookAttempts: await simulator.pumpWebhooks() }),
};

/** Answers a control request; what is wrong with it comes back as 400 with a message. */
export async function control(
  simulator: MailerLiteSimulator,
  method: string,
  name: string,
  body: AsyncIterable<Uint8Array>,
  contentType: string,
): Promise<ControlAnswer> {
  if (method === "GET" && name === "subscribers") {
    return { status: 200, lines: simulator.readAllJson() };
  }
  const action = Object.hasOwn(ACTIONS, `${method} ${name}`)
    ? ACTIONS[`${method} ${name}`]
    : undefined;
  if (action === undefined) {
    return {
      status: 404,
      json: {
        message: `No control "${method} ${name}": choose from ${Object.keys(ACTIONS).join(", ")}`,
      },
    };
  }
  try {
    return { status: 200, json: await action(simulator, body, contentType) };
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) {
      return { status: 400, json: { message: error.message } };
    }
    throw error;
  }
}
