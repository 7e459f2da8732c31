import { canonicalKey } from "../../merge/canonical.ts";
import type { RemoteRecord, WriteOp, WriteResult } from "../connector.ts";
import { subscriberAnswerSchema } from "./answers.ts";
import type { ItemAnswer } from "./batch.ts";
import { codeOf, isPassing } from "./failure.ts";
import { decodeSubscriber } from "./subscriber.ts";
import type { PlannedItem, PlannedWrite } from "./write_plan.ts";

/** A result that is not `ok`. */
export type WriteFailure = Exclude<WriteResult, { outcome: "ok" }>;

/** What became of one call: an answer, or why there is none. */
export type SentItem = {
  readonly planned: PlannedItem;
  readonly answer: ItemAnswer | WriteFailure;
};

/** A write that was done, as far as its code says, and whose record did not come with the answer. */
export interface ReadBack {
  readonly outcome: "read_back";
  readonly email: string;
  readonly created: boolean;
}

/** A failed write. */
export function failed(
  outcome: WriteFailure["outcome"],
  code: string,
  retryAfterMs: number | null = null,
): WriteFailure {
  return { outcome, code, retryAfterMs };
}

// What is more in doubt comes first: an operation of several calls is as certain
// as the least certain of them. One that was done in part may be repeated, every
// call of it sets a state.
const ORDER = ["unknown", "not_found", "retryable", "rejected"] as const;

function failureOfItem({ planned, answer }: SentItem): WriteFailure | null {
  if ("outcome" in answer) return answer;
  const { code, body } = answer;
  if (code >= 200 && code < 300) return null;
  if (isPassing(code)) {
    // Of a create nobody knows whether it took effect before it failed; sent again
    // under an address that has changed since, it would make a second subscriber.
    // A refusal for the rate took none.
    const isCreate = planned.part === "subscriber" && planned.item.method === "POST";
    return failed(isCreate && code !== 429 ? "unknown" : "retryable", codeOf(code, body));
  }
  if (code !== 404) return failed("rejected", codeOf(code, body));
  switch (planned.part) {
    case "subscriber":
      return failed("not_found", "remote_not_found");
    case "add":
      return failed("rejected", "group_missing");
    case "remove":
      // Not in the group: what was wanted. A missing subscriber shows elsewhere.
      return null;
  }
}

/** The groups that somebody was put into and taken out of, whatever became of the rest. */
function withDoneGroups(failure: WriteFailure, sent: readonly SentItem[]): WriteFailure {
  const refused = new Set(sent.flatMap((item) => {
    const { planned } = item;
    return planned.part !== "subscriber" && failureOfItem(item) !== null ? [planned.group] : [];
  }));
  const done = (part: "add" | "remove") => [
    ...new Set(
      sent.flatMap(({ planned }) =>
        planned.part === part && !refused.has(planned.group) ? [planned.group] : []
      ),
    ),
  ];
  const groups = { add: done("add"), remove: done("remove") };
  const isAny = groups.add.length + groups.remove.length > 0;
  return isAny && failure.outcome !== "not_found" ? { ...failure, sets: { groups } } : failure;
}

function worstOf(failures: readonly WriteFailure[]): WriteFailure | null {
  for (const outcome of ORDER) {
    const failure = failures.find((each) => each.outcome === outcome);
    if (failure !== undefined) return failure;
  }
  return null;
}

/**
 * The record with the groups that were just put and taken. The docs promise that
 * answers come in the order sent, not that calls are run in it, so the record may
 * have been read before its groups were changed.
 */
function withGroups(record: RemoteRecord, sent: readonly SentItem[]): RemoteRecord {
  const groups = new Set<string>();
  const before = record.doc.groups;
  if (Array.isArray(before)) {
    for (const name of before) if (typeof name === "string") groups.add(name);
  }
  for (const { planned } of sent) {
    if (planned.part === "add") groups.add(planned.group);
    if (planned.part === "remove") groups.delete(planned.group);
  }
  return { ...record, doc: { ...record.doc, groups: [...groups].sort() } };
}

/** What an answer says about the subscriber: a record, its id alone, or nothing. */
function readAnswer(
  body: unknown,
): { id: string; record: RemoteRecord | null } | null {
  const parsed = subscriberAnswerSchema.safeParse(body);
  if (!parsed.success) return null;
  const row = decodeSubscriber(parsed.data.data);
  if (row.kind === "record") return { id: row.record.id, record: row.record };
  if (row.kind === "deleted" || row.row.id === null) return null;
  return { id: row.row.id, record: null };
}

// A status that is stricter than the one sent stands: a bounce may have come
// first, and nobody gets mail who should not.
function isStatusApplied(sent: string | null, got: unknown): boolean {
  switch (sent) {
    case "unsubscribed":
      return got !== "subscribed" && got !== "pending";
    case "unconfirmed":
      return got !== "subscribed";
    default:
      return true;
  }
}

/** The result of a write of which the record is known. */
export function doneWith(
  plan: Exclude<PlannedWrite, { refused: string }>,
  record: RemoteRecord,
  created: boolean,
): WriteResult {
  // Whether the API refuses a status it does not allow, or answers 200 and leaves
  // it as it was, is not documented.
  if (!isStatusApplied(plan.status, record.doc.status)) {
    return failed("rejected", "status_not_applied");
  }
  // Nor what it answers to an address that another subscriber has.
  if (plan.address !== null && canonicalKey(record.doc.email, "lower-trim") !== plan.address) {
    return failed("rejected", "email_not_applied");
  }
  return { outcome: "ok", id: record.id, record, created };
}

/**
 * Puts the answers to one operation's calls together.
 *
 * @param plan What was planned for it.
 * @param sent Its calls, all of them.
 */
export function resultOf(
  op: WriteOp,
  plan: Exclude<PlannedWrite, { refused: string }>,
  sent: readonly SentItem[],
): WriteResult | ReadBack {
  const failures = sent.flatMap((item) => failureOfItem(item) ?? []);
  const worst = worstOf(failures);
  if (worst !== null) return withDoneGroups(worst, sent);
  const main = sent.find(({ planned }) => planned.part === "subscriber");
  if (main === undefined || "outcome" in main.answer) {
    return failed("unknown", "remote_invalid_answer");
  }
  const { code, body } = main.answer;
  const created = op.op === "create" && code === 201;
  if (op.op === "delete") {
    return { outcome: "ok", id: op.id, record: null, created };
  }
  const answer = readAnswer(body);
  if (op.op === "update") {
    if (answer?.id !== op.id) {
      return failed("unknown", "remote_invalid_answer");
    }
    if (answer.record === null) {
      return { outcome: "ok", id: op.id, record: null, created };
    }
    const result = doneWith(plan, withGroups(answer.record, sent), created);
    return result.outcome === "ok" ? result : withDoneGroups(result, sent);
  }
  // A batch that was run as an import may answer without subscribers, or with
  // another order: the address tells whose answer it is, the position does not.
  const email = plan.email ?? "";
  const answered = canonicalKey(answer?.record?.doc.email, "lower-trim");
  if (answer === null || answer.record === null || answered !== email) {
    return { outcome: "read_back", email, created };
  }
  return doneWith(plan, answer.record, created);
}
