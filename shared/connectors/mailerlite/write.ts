import { RateWaitError } from "../../limits/rate_wait_error.ts";
import type { RemoteSchema, WriteOp, WriteResult } from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { sendBatch } from "./batch.ts";
import type { MailerLiteClient } from "./client.ts";
import { findSubscribers } from "./read.ts";
import { packBatches, type PackedItem, planWrite } from "./write_plan.ts";
import {
  doneWith,
  failed,
  type ReadBack,
  resultOf,
  type SentItem,
  type WriteFailure,
} from "./write_result.ts";

/**
 * Whether upserts are kept out of the import budget by a read sent along with
 * them (see {@linkcode packBatches}). It makes 120 batches of 49 a minute out of
 * 5 of 50. That a mixed batch is no import follows from the docs' wording and has
 * not been seen; where it does not hold, turn it off, and the import budget is
 * taken from instead.
 */
const AVOID_IMPORT = true;

/** What a batch that failed as a whole means for its operations. */
function failureOfBatch(error: unknown): WriteFailure {
  if (error instanceof RateWaitError) {
    return failed("retryable", error.code, error.waitMs);
  }
  // The client makes a RemoteError of whatever happens to a request. Anything else
  // came before it, as when the limiter's database is gone.
  if (!(error instanceof RemoteError)) return failed("retryable", "not_sent");
  const { kind, code, retryAfterMs } = error;
  if (kind === "unknown_outcome") return failed("unknown", code);
  if (kind === "rejected") return failed("rejected", code);
  return failed("retryable", code, retryAfterMs);
}

/** Whether no operation of a call was touched and none can be. */
function isAboutAll(error: unknown): boolean {
  if (!(error instanceof RemoteError)) return true;
  return error.kind === "auth" ||
    (error.code === "aborted" && error.kind === "retryable");
}

/** Sends batches one after the other and stops at the first that fails as a whole. */
async function sendAll(
  client: MailerLiteClient,
  batches: readonly (readonly PackedItem[])[],
): Promise<Map<number, SentItem[]>> {
  const sent = new Map<number, SentItem[]>();
  let stopped: WriteFailure | null = null;
  for (const [number, batch] of batches.entries()) {
    let answers: readonly SentItem["answer"][];
    if (stopped !== null) {
      answers = batch.map(() => stopped ?? failed("retryable", "not_sent"));
    } else {
      try {
        // A batch of writes is not sent again blindly, although each call in it
        // could be: somebody may have edited a subscriber between the two, and
        // the caller can read first.
        const items = batch.map(({ item }) => item);
        answers = await sendBatch(client, items, false);
      } catch (error) {
        if (number === 0 && isAboutAll(error)) throw error;
        const failure = failureOfBatch(error);
        answers = batch.map(() => failure);
        stopped = failed("retryable", failure.code, failure.retryAfterMs);
      }
    }
    for (const [position, { op, planned }] of batch.entries()) {
      const answer = answers[position];
      if (op === null || planned === null || answer === undefined) continue;
      const items = sent.get(op);
      if (items === undefined) sent.set(op, [{ planned, answer }]);
      else items.push({ planned, answer });
    }
  }
  return sent;
}

/** Reads the records of creates whose answers did not hold them. */
async function readBack(
  client: MailerLiteClient,
  waiting: readonly ReadBack[],
): Promise<Map<string, Awaited<ReturnType<typeof findSubscribers>>[number]>> {
  const emails = [...new Set(waiting.map(({ email }) => email))];
  try {
    const found = await findSubscribers(client, emails);
    return new Map(emails.map((email, index) => [email, found[index] ?? []]));
  } catch {
    // The writes are sent, so their results have to come out; without a record
    // each of them is unknown.
    return new Map();
  }
}

/**
 * Writes, batched. One result an operation, in their order.
 *
 * A create that answers `created: false` met a subscriber who was there, or
 * one who had been deleted: MailerLite brings those back with their old id.
 *
 * @param avoidImport See {@linkcode packBatches}.
 * @throws {RemoteError} If the credentials are refused, or the caller has to stop, before anything was sent.
 * @throws {RateWaitError} If nothing may be sent in the time the caller has.
 */
export async function writeSubscribers(
  client: MailerLiteClient,
  schema: RemoteSchema,
  operations: readonly WriteOp[],
  avoidImport: boolean = AVOID_IMPORT,
): Promise<readonly WriteResult[]> {
  const plans = operations.map((op) => planWrite(schema, op));
  const sent = await sendAll(client, packBatches(plans, avoidImport));
  const drafts = operations.map((op, index) => {
    const plan = plans[index];
    if (plan === undefined) return failed("retryable", "not_sent");
    if ("refused" in plan) return failed("rejected", plan.refused);
    return resultOf(op, plan, sent.get(index) ?? []);
  });
  const waiting = drafts.filter((draft) => draft.outcome === "read_back");
  const found = await readBack(client, waiting);
  return drafts.map((draft, index): WriteResult => {
    if (draft.outcome !== "read_back") return draft;
    const plan = plans[index];
    const [record] = found.get(draft.email) ?? [];
    if (record === undefined || plan === undefined || "refused" in plan) {
      return failed("unknown", "created_unconfirmed");
    }
    return doneWith(plan, record, draft.created);
  });
}
