import type { z } from "zod";
import type { RemoteSchema } from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { fieldPageSchema, groupPageSchema, parseAnswer, probeSchema } from "./answers.ts";
import { type BatchItem, type ItemAnswer, readBatch } from "./batch.ts";
import type { MailerLiteClient } from "./client.ts";
import { encodeCursor, type ListState, OTHER_STATUSES } from "./cursor.ts";
import { codeOf } from "./failure.ts";
import { FIELD_PREFIX } from "./subscriber.ts";

// An account holds at most 1000 groups (MailerLite docs, Groups), and a page of
// fields at most 100 (MailerLite docs, Fields).
const GROUPS: Listing = { route: "/groups", limit: 1000 };
const FIELDS: Listing = { route: "/fields", limit: 100 };
const SMALL_LIMIT = 100;

interface Listing {
  readonly route: string;
  readonly limit: number;
}

function pageItem({ route, limit }: Listing, page: number): BatchItem {
  const query = `limit=${limit}${page === 1 ? "" : `&page=${page}`}`;
  return { method: "GET", route, path: `${route}?${query}` };
}

function bodyOf(item: BatchItem, { code, body }: ItemAnswer): unknown {
  if (code >= 200 && code < 300) return body;
  throw new RemoteError(
    "rejected",
    codeOf(code, body),
    `Cannot read the account: GET ${item.route} answered status ${code}`,
    code,
  );
}

/** All rows of a list by page number, from the answer to its first page. */
async function allPages<T>(
  client: MailerLiteClient,
  listing: Listing,
  schema: z.ZodType<{ data: T[]; meta: { last_page: number } }>,
  first: ItemAnswer | undefined,
): Promise<T[]> {
  const call = `GET ${listing.route}`;
  const read = (item: BatchItem, answer: ItemAnswer | undefined) =>
    parseAnswer(schema, answer && bodyOf(item, answer), call);
  // The docs tell how many groups there may be, not how many a page may hold.
  if (
    listing.limit > SMALL_LIMIT && (first?.code === 400 || first?.code === 422)
  ) {
    const smaller = { ...listing, limit: SMALL_LIMIT };
    const [again] = await readBatch(client, [pageItem(smaller, 1)]);
    return allPages(client, smaller, schema, again);
  }
  const { data, meta } = read(pageItem(listing, 1), first);
  const rest = Array.from(
    { length: meta.last_page - 1 },
    (_, index) => pageItem(listing, index + 2),
  );
  const answers = await readBatch(client, rest);
  return data.concat(
    ...rest.map((item, index) => read(item, answers[index]).data),
  );
}

/**
 * Reads groups and fields, and of each status that a list without a filter might
 * leave out one subscriber: proof, later, of whether it does. One request, as
 * long as groups and fields fit on a page each.
 *
 * @throws {RemoteError} As {@linkcode MailerLiteClient.send}.
 */
export async function describeAccount(
  client: MailerLiteClient,
): Promise<RemoteSchema> {
  const probes = OTHER_STATUSES.map((status): BatchItem => ({
    method: "GET",
    route: "/subscribers",
    path: `/subscribers?${new URLSearchParams({ "filter[status]": status, limit: "1" })}`,
  }));
  const items = [pageItem(GROUPS, 1), pageItem(FIELDS, 1), ...probes];
  const answers = await readBatch(client, items);
  const [groupsAnswer, fieldsAnswer, ...probeAnswers] = answers;
  const groups = await allPages(client, GROUPS, groupPageSchema, groupsAnswer);
  const fields = await allPages(client, FIELDS, fieldPageSchema, fieldsAnswer);
  const idsByName = new Map<string, string[]>();
  for (const { id, name } of groups) {
    const ids = idsByName.get(name);
    if (ids === undefined) idsByName.set(name, [id]);
    else if (!ids.includes(id)) ids.push(id);
  }
  return {
    fields: fields.map(({ key }) => FIELD_PREFIX + key),
    sets: { groups: Object.fromEntries(idsByName) },
    start: encodeCursor({
      size: null,
      status: null,
      after: null,
      unseen: unseenOf(probes, probeAnswers),
      pages: 0,
      mark: null,
    }),
  };
}

function unseenOf(
  probes: readonly BatchItem[],
  answers: readonly ItemAnswer[],
): ListState["unseen"] {
  const unseen: ListState["unseen"] = [];
  for (const [index, status] of OTHER_STATUSES.entries()) {
    const [item, answer] = [probes[index], answers[index]];
    if (item === undefined || answer === undefined) continue;
    const [row] = parseAnswer(
      probeSchema,
      bodyOf(item, answer),
      "GET /subscribers",
    ).data;
    if (row === undefined) continue;
    // A filter that is not applied proves nothing: people could be missed.
    if (row.status !== status) {
      throw new RemoteError(
        "rejected",
        "remote_invalid_answer",
        `Cannot read the account: GET /subscribers ignored the filter on status ${status}`,
      );
    }
    unseen.push([status, row.id]);
  }
  return unseen;
}
