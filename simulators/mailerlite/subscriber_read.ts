import { phpJson } from "./php_json.ts";
import { type Answer, answer, message, notFound, unprocessable } from "./answers.ts";
import type { ApiCall, World } from "./call.ts";
import { isoDate } from "./dates.ts";
import { cursorEnvelope, decodeCursor, encodeCursor, pageEnvelope, wholeNumber } from "./paging.ts";
import { forgottenRowJson, pushRow, type SubscriberRow } from "./subscriber_row.ts";
import { subscriberAnswer } from "./subscriber_write.ts";
import { STATUSES } from "./types.ts";

/** The filters the API's own error text names; an email filter is not among them. */
export const SUBSCRIBER_FILTERS = [
  "group",
  "automation",
  "status",
  "form",
  "site",
  "page",
  "import",
  "post",
] as const;

/** Which rows a list is of. */
export type RowTest = (row: SubscriberRow) => boolean;

/** The parts of a list that differ between the routes. */
export interface ListShape {
  readonly perPage: number;
  readonly max: number;
  readonly rejectAboveMax: boolean;
  readonly test: RowTest;
}

interface Scan {
  readonly rows: SubscriberRow[];
  readonly more: boolean;
}

/** Walks the rows by falling id from `from` (an index) down, or by rising id when `step` is 1. */
function scan(
  rows: readonly SubscriberRow[],
  from: number,
  step: 1 | -1,
  limit: number,
  test: RowTest,
): Scan {
  const found: SubscriberRow[] = [];
  for (let index = from; index >= 0 && index < rows.length; index += step) {
    const row = rows[index];
    if (row === undefined || row.deletedAt !== null || !test(row)) continue;
    if (found.length === limit) return { rows: found, more: true };
    found.push(row);
  }
  return { rows: found, more: false };
}

/** A page of subscribers by cursor, newest first (mailerlite-nodejs tapes, subscribers list). */
export function subscriberPage(world: World, call: ApiCall, shape: ListShape): Answer {
  const { store, switches } = world;
  const asked = wholeNumber(call.params, "limit", shape.perPage);
  if (asked > shape.max && shape.rejectAboveMax) {
    return unprocessable({ limit: [`The limit must not be greater than ${shape.max}.`] });
  }
  const limit = asked < 1 ? shape.perPage : Math.min(asked, shape.max);
  const sent = call.params.get("cursor");
  const cursor = sent === null ? undefined : decodeCursor(sent);
  if (
    sent !== null && sent !== "" && cursor === undefined && switches.nonsenseCursor === "empty_page"
  ) {
    return answer(200, cursorEnvelope(call, { rows: "", perPage: limit, next: null, prev: null }));
  }
  const { rows } = store;
  const forward = cursor?.forward ?? true;
  let page: Scan;
  if (cursor === undefined) page = scan(rows, rows.length - 1, -1, limit, shape.test);
  else if (forward) page = scan(rows, store.indexOf(cursor.id) - 1, -1, limit, shape.test);
  else {
    const at = store.indexOf(cursor.id);
    page = scan(rows, rows[at]?.id === cursor.id ? at + 1 : at, 1, limit, shape.test);
    page.rows.reverse();
  }
  const first = page.rows[0];
  const last = page.rows.at(-1);
  // Laravel: a page reached backwards always has a next one, a page reached by any cursor a previous one.
  const hasNext = last !== undefined && (forward ? page.more : true);
  const hasPrev = first !== undefined && cursor !== undefined && (forward ? true : page.more);
  const withGroups = (call.params.get("include") ?? "").split(",").includes("groups");
  const format = store.format();
  const parts: string[] = [];
  for (const row of page.rows) {
    if (parts.length > 0) parts.push(",");
    const groups = withGroups ? store.groups.membershipJson(row.membership) : undefined;
    pushRow(parts, row, format, groups);
  }
  const body = cursorEnvelope(call, {
    rows: parts.join(""),
    perPage: limit,
    next: hasNext ? encodeCursor(last.id, true) : null,
    prev: hasPrev ? encodeCursor(first.id, false) : null,
  });
  return answer(200, body);
}

/** The names inside `filter[…]` of a request. */
function filterNames(params: URLSearchParams): string[] {
  return [...params.keys()].map((key) => /^filter\[([^\]]+)\]$/.exec(key)?.[1]).filter((name) =>
    name !== undefined
  );
}

/** Refuses filters outside the allowed ones, in the words of the query builder behind the API. */
export function refuseFilters(
  world: World,
  params: URLSearchParams,
  allowed: readonly string[],
): Answer | undefined {
  const wrong = filterNames(params).filter((name) => !allowed.includes(name));
  if (wrong.length === 0) return undefined;
  const text = `Requested filter(s) \`${
    wrong.join(", ")
  }\` are not allowed. Allowed filter(s) are \`${allowed.join(", ")}\`.`;
  return message(world.switches.disallowedFilter === "reject_400" ? 400 : 422, text);
}

/** A test for one status; an unknown one finds nothing. */
export function statusTest(status: string): RowTest {
  const index = STATUSES.findIndex((known) => known === status);
  return (row) => row.status === index;
}

function filterTest(world: World, params: URLSearchParams): RowTest {
  const tests: RowTest[] = [];
  const status = params.get("filter[status]") ??
    (world.switches.defaultStatusFilter === "active" ? "active" : null);
  if (status !== null && status !== "") tests.push(statusTest(status));
  const group = params.get("filter[group]");
  if (group !== null) {
    const wanted = world.store.groups.byId(group);
    tests.push((row) => wanted !== undefined && row.membership.groups.includes(wanted));
  }
  const imported = params.get("filter[import]");
  if (imported !== null) {
    const ids = world.imports.byId(imported)?.touched;
    tests.push((row) => ids?.has(row.id) ?? false);
  }
  // The simulated account has no automations, forms, sites, pages or posts: nobody came through one.
  const through = ["automation", "form", "site", "page", "post"];
  if (through.some((name) => params.has(`filter[${name}]`))) tests.push(() => false);
  const [only] = tests;
  if (only === undefined) return () => true;
  return tests.length === 1 ? only : (row) => tests.every((test) => test(row));
}

const PAGE_MAX = {
  clamp_1000: { max: 1000, rejectAboveMax: false },
  clamp_100: { max: 100, rejectAboveMax: false },
  reject_above_1000: { max: 1000, rejectAboveMax: true },
  reject_above_100: { max: 100, rejectAboveMax: true },
} as const;

/** GET /subscribers, and with `limit=0` the count alone. */
export function listSubscribers(world: World, call: ApiCall): Answer {
  const refused = refuseFilters(world, call.params, SUBSCRIBER_FILTERS);
  if (refused !== undefined) return refused;
  if (call.params.has("sort")) {
    return message(
      501,
      "The simulator does not sort subscribers: it lists them by id, newest first",
    );
  }
  if (wholeNumber(call.params, "limit", 1) === 0) return countSubscribers(world, call);
  const test = filterTest(world, call.params);
  return subscriberPage(world, call, {
    perPage: 25,
    test,
    ...PAGE_MAX[world.switches.subscribersPageMax],
  });
}

function countSubscribers(world: World, call: ApiCall): Answer {
  const { store } = world;
  let total = store.rows.length - store.deletedCount;
  if (world.switches.countHonoursFilter === "yes") {
    const test = filterTest(world, call.params);
    total = store.rows.reduce(
      (sum, row) => (row.deletedAt === null && test(row) ? sum + 1 : sum),
      0,
    );
  }
  return answer(200, `{"total":${total}}`);
}

function readable(world: World, key: string): SubscriberRow | undefined {
  const row = key.includes("@") ? world.store.byEmail(key) : world.store.byId(key);
  return row === undefined || row.deletedAt === null || world.switches.getAfterDelete === "found"
    ? row
    : undefined;
}

/** GET /subscribers/{id or email}. */
export function getSubscriber(world: World, _call: ApiCall, [key = ""]: readonly string[]): Answer {
  const row = readable(world, key);
  if (row === undefined) return notFound("subscriber", key);
  if (row.deletedAt === null) return subscriberAnswer(world, 200, row);
  const groups = world.store.groups.membershipJson(row.membership);
  return answer(200, `{"data":${forgottenRowJson(row, world.store.format(), groups)}}`);
}

/** GET /subscribers/{id}/activity-log: unsubscribes are all that happens to a simulated subscriber. */
export function getActivity(world: World, call: ApiCall, [key = ""]: readonly string[]): Answer {
  const row = readable(world, key);
  if (row === undefined) return notFound("subscriber", key);
  const name = call.params.get("filter[log_name]");
  const entries = world.journal.activityOf(row.id).filter((entry) =>
    name === null || entry.name === name
  );
  const body = pageEnvelope(call, entries, { perPage: 100, max: 1000 }, (entry) =>
    phpJson({
      id: String(entry.id),
      log_name: entry.name,
      subject_id: row.id,
      subject_type: "App\\Models\\Subscriber\\Subscriber",
      properties: [],
      created_at: isoDate(entry.at),
      updated_at: isoDate(entry.at),
    }));
  return answer(200, body);
}
