import { type Answer, answer, type FieldErrors, message, unprocessable } from "./answers.ts";
import { type ApiCall, paramsFromBody, type World } from "./call.ts";
import { isJsonObject, type Json } from "./json.ts";

/** MailerLite docs, Batching: at most 50 requests. */
export const BATCH_MAX = 50;

const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/** A batch that can run, or the answer that refuses it. */
export type BatchPlan =
  | { ok: true; items: ApiCall[]; upsertsOnly: boolean }
  | { ok: false; refused: Answer };

/** Checks the envelope of a batch (MailerLite docs, Batching). */
export function planBatch(world: World, call: ApiCall): BatchPlan {
  const { requests } = call.body;
  if (!Array.isArray(requests) || requests.length === 0) {
    return { ok: false, refused: unprocessable({ requests: ["The requests field is required."] }) };
  }
  if (requests.length > BATCH_MAX) {
    const text = `The requests field must not have more than ${BATCH_MAX} items.`;
    const refused = world.switches.batchOverflow === "reject_400"
      ? message(400, text)
      : unprocessable({ requests: [text] });
    return { ok: false, refused };
  }
  const errors: FieldErrors = {};
  const items = requests.map((sent, index) => readItem(sent, index, call, errors));
  if (Object.keys(errors).length > 0) return { ok: false, refused: unprocessable(errors) };
  const upsertsOnly = items.every((item) => item.method === "POST" && item.path === "subscribers");
  return { ok: true, items, upsertsOnly };
}

function readItem(sent: Json, index: number, call: ApiCall, errors: FieldErrors): ApiCall {
  const item = isJsonObject(sent) ? sent : {};
  const method = typeof item["method"] === "string" ? item["method"].toUpperCase() : "";
  if (!METHODS.includes(method)) {
    errors[`requests.${index}.method`] = [
      method === ""
        ? `The requests.${index}.method field is required.`
        : `The selected requests.${index}.method is invalid.`,
    ];
  }
  const url = typeof item["path"] === "string" ? item["path"] : "";
  // A leading slash works too (mailerlite-nodejs tapes, batch: /api/forms/popup).
  const inner = /^\/?api\/([^?]*)(?:\?(.*))?$/.exec(url);
  const path = (inner?.[1] ?? "").replace(/\/+$/, "");
  if (inner === null || /^(webhooks|batch)(\/|$)/.test(path)) {
    errors[`requests.${index}.path`] = [
      url === ""
        ? `The requests.${index}.path field is required.`
        : `The selected requests.${index}.path is invalid.`,
    ];
  }
  const body = isJsonObject(item["body"]) ? item["body"] : {};
  const params = new URLSearchParams(inner?.[2] ?? "");
  if (method === "GET") paramsFromBody(body, params);
  return { method, path, params, body, base: call.base, via: "batch" };
}

/** Runs the items of a batch; a failing one does not stop the others. */
export function runBatch(
  world: World,
  items: readonly ApiCall[],
  upsertsOnly: boolean,
  execute: (item: ApiCall, index: number) => Answer,
): Answer {
  const order = items.map((_, index) => index);
  if (world.switches.batchExecution === "reversed") order.reverse();
  const answers = new Map<number, Answer>();
  for (const index of order) {
    const item = items[index];
    if (item !== undefined) answers.set(index, execute(item, index));
  }
  let successful = 0;
  const hideBodies = upsertsOnly && world.switches.allUpsertBatchBodies === "empty";
  const responses = items.map((_, index) => {
    const { status, body } = answers.get(index) ?? message(500, "Server Error");
    const good = status >= 200 && status < 300;
    if (good) successful++;
    if (good && hideBodies) return `{"code":200,"body":null}`;
    const none = world.switches.batchNoContentBody === "null" ? "null" : '""';
    return `{"code":${status},"body":${body ?? none}}`;
  });
  const total = items.length;
  return answer(
    200,
    `{"total":${total},"successful":${successful},"failed":${total - successful},"responses":[${
      responses.join(",")
    }]}`,
  );
}
