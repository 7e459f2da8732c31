import type { Json } from "../../merge/json.ts";
import { batchSchema } from "./answers.ts";
import { type ApiRequest, BATCH_TIMEOUT_MS, type MailerLiteClient } from "./client.ts";
import { failureOf, isPassing } from "./failure.ts";
import { MAX_ATTEMPTS } from "./retry.ts";

/** Calls a batch takes at most (MailerLite docs, Batching). */
export const BATCH_MAX = 50;

/** One call of a batch. */
export interface BatchItem {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** The path without ids, for messages. */
  readonly route: string;
  /** The path below the base URL, with its query. */
  readonly path: string;
  readonly body?: Json;
}

/** What one call of a batch was answered. */
export interface ItemAnswer {
  readonly code: number;
  readonly body: unknown;
}

/** Tells whether a call makes or changes the subscriber of an address. */
export function isUpsert(item: BatchItem): boolean {
  return item.method === "POST" && item.path === "/subscribers";
}

/**
 * Sends at most {@linkcode BATCH_MAX} calls in one request. A single one goes as
 * itself: a batch is slower, and a batch of one upsert would count as an import.
 *
 * @param repeatable Whether a batch whose fate is unknown may be sent again.
 * @returns One answer a call, in their order.
 * @throws {RemoteError} If the request as a whole failed.
 */
export async function sendBatch(
  client: MailerLiteClient,
  items: readonly BatchItem[],
  repeatable: boolean,
): Promise<readonly ItemAnswer[]> {
  const [only] = items;
  if (only === undefined) return [];
  if (items.length === 1) {
    const { status, body } = await client.send({
      ...only,
      repeatable: repeatable || only.method !== "POST",
      refusalIsAnswer: true,
    });
    return [{ code: status, body }];
  }
  const request: ApiRequest = {
    method: "POST",
    route: "/batch",
    path: "/batch",
    body: {
      requests: items.map(({ method, path, body }) => ({
        method,
        path: `api${path}`,
        ...(body === undefined ? {} : { body }),
      })),
    },
    repeatable,
    isImport: items.every(isUpsert),
    timeoutMs: BATCH_TIMEOUT_MS,
  };
  const { status, body } = await client.send(request);
  const parsed = batchSchema.safeParse(body);
  if (parsed.success && parsed.data.responses.length === items.length) {
    return parsed.data.responses;
  }
  // It was answered, so it was done; only not legibly.
  const garbled = { kind: "garbled", status } as const;
  throw failureOf(repeatable, "POST /batch", garbled).error;
}

/**
 * Sends any number of reads, batched, and those that met a passing trouble again.
 *
 * @returns One answer a read, in their order; none of them a passing trouble.
 * @throws {RemoteError} If a batch failed, the credentials were refused, or the trouble did not pass.
 */
export async function readBatch(
  client: MailerLiteClient,
  items: readonly BatchItem[],
): Promise<readonly ItemAnswer[]> {
  const answers: ItemAnswer[] = [];
  let waiting = items.map((_, index) => index);
  for (let attempt = 1; waiting.length > 0; attempt++) {
    if (attempt > 1) await client.pause(attempt - 1);
    const failed: number[] = [];
    for (let from = 0; from < waiting.length; from += BATCH_MAX) {
      const part = waiting.slice(from, from + BATCH_MAX);
      const sent = part.flatMap((index) => items[index] ?? []);
      const received = await sendBatch(client, sent, true);
      for (const [position, index] of part.entries()) {
        const answer = received[position];
        const item = items[index];
        if (answer === undefined || item === undefined) continue;
        if (isPassing(answer.code)) failed.push(index);
        answers[index] = answer;
        if (isPassing(answer.code) && attempt < MAX_ATTEMPTS) continue;
        throwIfUseless(item, answer);
      }
    }
    waiting = failed;
  }
  return answers;
}

function throwIfUseless(item: BatchItem, { code, body }: ItemAnswer): void {
  if (!isPassing(code) && code !== 401 && code !== 403) return;
  const refused = { kind: "refused", status: code, retryAfterMs: null, body } as const;
  throw failureOf(true, `${item.method} ${item.route}`, refused).error;
}
