import { z } from "zod";
import { RemoteError } from "../remote_error.ts";
import type { Json } from "../../merge/json.ts";

// Every schema takes what this connector uses and lets everything else pass: the
// API adds keys without notice (MailerLite docs, Getting started, Versioning).

const isObject = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * One subscriber (MailerLite docs, Subscribers).
 *
 * `groups` is required: read as "in no group", a row that comes without it would
 * take people out of all groups. `fields` is checked value by value where it is
 * mapped, because `z.record` takes four times as long as all the rest of a row,
 * and a page holds a thousand.
 */
export const subscriberSchema = z.object({
  id: z.string().regex(/^\d+$/),
  email: z.string().min(1),
  status: z.string(),
  fields: z.custom<Record<string, Json>>(isObject),
  groups: z.array(z.object({ name: z.string() })),
  deleted_at: z.string().nullish(),
});

/** One row of {@linkcode subscriberSchema}. */
export type SubscriberRow = z.infer<typeof subscriberSchema>;

// "per_page" is a number in some recordings and a text in others
// (mailerlite-nodejs recorded tapes, segments).
const count = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .pipe(z.number().int().min(1));

/** What stands around the rows of a page. `next_cursor` is required: a missing one is not an end. */
export const subscriberEnvelopeSchema = z.object({
  meta: z.object({ per_page: count, next_cursor: z.string().min(1).nullable() }),
});

/** A page of subscribers; its rows are checked one by one. */
export const subscriberPageSchema = subscriberEnvelopeSchema.extend({
  data: z.array(z.unknown()),
});

/** The answer to a call that reads or writes one subscriber. */
export const subscriberAnswerSchema = z.object({ data: z.unknown() });

const pageMeta = z.object({ current_page: count, last_page: count });

/** A page of groups (MailerLite docs, Groups). */
export const groupPageSchema = z.object({
  data: z.array(z.object({ id: z.string().regex(/^\d+$/), name: z.string() })),
  meta: pageMeta,
});

/** A page of the account's fields (MailerLite docs, Fields). */
export const fieldPageSchema = z.object({
  data: z.array(z.object({ key: z.string().min(1) })),
  meta: pageMeta,
});

/** The answer to a group that was made. */
export const groupAnswerSchema = z.object({
  data: z.object({ id: z.string().regex(/^\d+$/), name: z.string() }),
});

/** At most one subscriber, to learn whether there is one. */
export const probeSchema = z.object({
  data: z.array(z.object({ id: z.string().regex(/^\d+$/), status: z.string() })),
});

/** The answer to a batch; codes and bodies in the order sent (MailerLite docs, Batching). */
export const batchSchema = z.object({
  responses: z.array(z.object({ code: z.number().int(), body: z.unknown() })),
});

/**
 * Reads an answer by its schema.
 *
 * @param call Method and route, for the message.
 * @throws {RemoteError} `remote_invalid_answer`, naming the path that is wrong and never its value.
 */
export function parseAnswer<T>(
  schema: z.ZodType<T>,
  body: unknown,
  call: string,
): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
  throw new RemoteError(
    "retryable",
    "remote_invalid_answer",
    `Cannot read the answer to ${call}: '${path}' is not of the documented form`,
  );
}
