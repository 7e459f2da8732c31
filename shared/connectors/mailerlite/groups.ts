import type { RemoteSchema } from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { groupAnswerSchema, parseAnswer } from "./answers.ts";
import { BATCH_MAX, type BatchItem, sendBatch } from "./batch.ts";
import type { MailerLiteClient } from "./client.ts";
import { codeOf } from "./failure.ts";

/**
 * Makes the groups that do not exist yet.
 *
 * Not keyed by anything: made twice, there are two groups of the name. That does
 * no harm here, because groups are told apart by name only, a subscriber in
 * either of two is in the group, and one that leaves it leaves both.
 *
 * @returns The schema with the new groups in it.
 * @throws {RemoteError} If one could not be made; describe the account anew to learn which were.
 */
export async function createGroups(
  client: MailerLiteClient,
  schema: RemoteSchema,
  names: readonly string[],
): Promise<RemoteSchema> {
  const groups = new Map(Object.entries(schema.sets.groups ?? {}));
  const missing = [...new Set(names)].filter((name) => !groups.has(name));
  const items = missing.map((name): BatchItem => ({
    method: "POST",
    route: "/groups",
    path: "/groups",
    body: { name },
  }));
  for (let from = 0; from < items.length; from += BATCH_MAX) {
    const part = items.slice(from, from + BATCH_MAX);
    for (const { code, body } of await sendBatch(client, part, false)) {
      if (code < 200 || code >= 300) {
        throw new RemoteError(
          "rejected",
          codeOf(code, body),
          `Cannot make a group: POST /groups answered status ${code}`,
          code,
        );
      }
      const { data } = parseAnswer(groupAnswerSchema, body, "POST /groups");
      groups.set(data.name, [data.id]);
    }
  }
  return { ...schema, sets: { ...schema.sets, groups: Object.fromEntries(groups) } };
}
