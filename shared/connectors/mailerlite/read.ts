import { canonicalKey } from "../../merge/canonical.ts";
import type { RemoteRecord } from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { UnreadableRecordsError } from "../unreadable_records_error.ts";
import { parseAnswer, subscriberAnswerSchema } from "./answers.ts";
import { type BatchItem, type ItemAnswer, readBatch } from "./batch.ts";
import type { MailerLiteClient } from "./client.ts";
import { codeOf } from "./failure.ts";
import { type DecodedRow, decodeSubscriber } from "./subscriber.ts";

const ROUTE = "/subscribers/{id}";

/** The call that reads one subscriber by id or address. */
export function subscriberItem(idOrEmail: string): BatchItem {
  const path = `/subscribers/${encodeURIComponent(idOrEmail)}`;
  return { method: "GET", route: ROUTE, path };
}

function rowOf({ code, body }: ItemAnswer): DecodedRow {
  // Deleted subscribers are kept by MailerLite; whether they are answered with
  // 404 or as they were is not documented.
  if (code === 404) return { kind: "deleted" };
  if (code >= 200 && code < 300) {
    return decodeSubscriber(
      parseAnswer(subscriberAnswerSchema, body, `GET ${ROUTE}`).data,
    );
  }
  throw new RemoteError(
    "rejected",
    codeOf(code, body),
    `Cannot read subscribers: GET ${ROUTE} answered status ${code}`,
    code,
  );
}

/** One record a key, in their order; null where there is none. */
async function readSubscribers(
  client: MailerLiteClient,
  keys: readonly string[],
  isKey: RegExp,
): Promise<(RemoteRecord | null)[]> {
  const asked = [...new Set(keys.filter((key) => isKey.test(key)))];
  const answers = await readBatch(client, asked.map(subscriberItem));
  const rows = new Map<string, DecodedRow>();
  for (const [index, answer] of answers.entries()) {
    rows.set(asked[index] ?? "", rowOf(answer));
  }
  const unreadable: number[] = [];
  let reason = "";
  const records = keys.map((key, index) => {
    const row = rows.get(key);
    if (row?.kind === "unreadable") {
      reason ||= row.row.reason;
      unreadable.push(index);
    }
    return row?.kind === "record" ? row.record : null;
  });
  if (unreadable.length > 0) {
    throw new UnreadableRecordsError(unreadable, reason);
  }
  return records;
}

/**
 * Reads subscribers by id, fifty a request.
 *
 * @throws {UnreadableRecordsError} If some exist and cannot be used.
 */
export async function getSubscribers(
  client: MailerLiteClient,
  ids: readonly string[],
): Promise<readonly (RemoteRecord | null)[]> {
  // The same path also takes an address, which is no id.
  const records = await readSubscribers(client, ids, /^\d+$/);
  for (const [index, record] of records.entries()) {
    if (record !== null && record.id !== ids[index]) {
      throw new RemoteError(
        "retryable",
        "remote_invalid_answer",
        `Cannot read subscribers: GET ${ROUTE} answered another id than was asked for`,
      );
    }
  }
  return records;
}

/**
 * Looks subscribers up by address, fifty a request. An address belongs to one
 * subscriber at most.
 *
 * @throws {UnreadableRecordsError} If some exist and cannot be used.
 */
export async function findSubscribers(
  client: MailerLiteClient,
  emails: readonly string[],
): Promise<readonly (readonly RemoteRecord[])[]> {
  const keys = emails.map((email) => canonicalKey(email, "lower-trim"));
  // Without an "@" it would be read as an id, and an empty one as the whole list.
  const records = await readSubscribers(client, keys, /@/);
  return records.map((record, index) =>
    record !== null &&
      canonicalKey(record.doc.email, "lower-trim") === keys[index]
      ? [record]
      : []
  );
}
