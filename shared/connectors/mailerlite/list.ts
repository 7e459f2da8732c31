import type {
  FetchAhead,
  FetchOptions,
  Page,
  RawPage,
  RawPageRest,
  RemoteRecord,
  UnreadableRecord,
} from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { parseAnswer, subscriberEnvelopeSchema, subscriberPageSchema } from "./answers.ts";
import type { MailerLiteClient } from "./client.ts";
import { decodeCursor, encodeCursor, type ListState } from "./cursor.ts";
import { decodeSubscriber } from "./subscriber.ts";

// The largest page is not documented for this list: its sibling, the subscribers
// of a group, documents 1000, and connectors of other makers note 100. So the
// larger one is asked for, and what comes is read back.
const PAGE_SIZE = 1000;
const SMALL_PAGE_SIZE = 100;

const ROUTE = "/subscribers";

function isRefusal(error: unknown): error is RemoteError {
  return error instanceof RemoteError &&
    (error.status === 400 || error.status === 422);
}

function pathOf(state: ListState, size: number): string {
  // Every parameter goes with every page: `links.next` drops the limit and the
  // filter (mailerlite-nodejs recorded tapes, subscribers list), so a client that
  // follows it gets pages of 25 with the wrong people in them.
  const filter = state.status === null ? "" : `&filter%5Bstatus%5D=${state.status}`;
  const after = state.after?.toWellFormed() ?? null;
  const cursor = after === null ? "" : `&cursor=${encodeURIComponent(after)}`;
  return `${ROUTE}?include=groups&limit=${size}${filter}${cursor}`;
}

async function fetchPath(client: MailerLiteClient, path: string, raw: boolean): Promise<unknown> {
  const { body } = await client.send({
    method: "GET",
    route: ROUTE,
    path,
    repeatable: true,
    raw,
  });
  return body;
}

async function fetchLargest(
  client: MailerLiteClient,
  state: ListState,
  raw: boolean,
): Promise<unknown> {
  const size = state.size ?? PAGE_SIZE;
  try {
    return await fetchPath(client, pathOf(state, size), raw);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (state.after !== null) throw refusedCursor(error.status);
    if (size <= SMALL_PAGE_SIZE) throw error;
    return await fetchPath(client, pathOf(state, SMALL_PAGE_SIZE), raw);
  }
}

function refusedCursor(status: number | null): RemoteError {
  return new RemoteError(
    "rejected",
    "cursor_refused",
    `Cannot continue the list: the remote refused the cursor with status ${status}, start anew`,
    status,
  );
}

/**
 * The place after a page, or null after the last.
 *
 * Whether a list without a filter holds every status is not documented. So each
 * status of which there is somebody, and nobody came up, is then listed by
 * itself. A list that holds everybody costs no request more that way.
 */
function nextState(state: ListState, next: string | null): ListState | null {
  if (next !== null) return { ...state, after: next, ...markOf(state, next) };
  const [[status] = [null], ...unseen] = state.unseen;
  if (status === null) return null;
  return { ...state, status, unseen, after: null, pages: 0, mark: null };
}

/**
 * Brent's way to notice a circle while remembering one place only: the one kept
 * is replaced after 1, 2, 4, 8… pages, so it is inside the circle at some time
 * and comes up again.
 */
function markOf(state: ListState, next: string) {
  if (next === state.mark || next === state.after) {
    throw new RemoteError(
      "rejected",
      "cursor_loop",
      "Cannot finish the list: the remote answered a page a second time, start anew",
    );
  }
  const pages = state.pages + 1;
  const isPowerOfTwo = (pages & (pages - 1)) === 0;
  return { pages, mark: isPowerOfTwo ? next : state.mark };
}

function readRows(
  state: ListState,
  rows: readonly unknown[],
  meta: { readonly per_page: number; readonly next_cursor: string | null },
  watched: readonly string[],
): Page {
  const records: RemoteRecord[] = [];
  const unreadable: UnreadableRecord[] = [];
  const seen = new Set(watched);
  const wanted = new Set(state.unseen.map(([, id]) => id));
  for (const row of rows) {
    const decoded = decodeSubscriber(row);
    if (decoded.kind === "deleted") continue;
    if (decoded.kind === "record") records.push(decoded.record);
    else unreadable.push(decoded.row);
    const id = decoded.kind === "record" ? decoded.record.id : decoded.row.id;
    if (id !== null && wanted.has(id)) seen.add(id);
  }
  const next = nextState({
    ...state,
    size: Math.min(meta.per_page, PAGE_SIZE),
    // Later lists are of one status each, so they prove nothing about another.
    unseen: state.unseen.filter(([, id]) => !seen.has(id)),
  }, meta.next_cursor);
  return {
    records,
    unreadable,
    next: next === null ? null : encodeCursor(next),
  };
}

/**
 * Reads one page of all subscribers, of every status. Somebody whose status
 * changes while the list is read may come up twice.
 *
 * @throws {RemoteError} `invalid_cursor` if the cursor is not this connector's; `cursor_refused` or
 *   `cursor_loop` if the enumeration has to be started anew; others as {@linkcode MailerLiteClient.send}.
 */
export async function listSubscribers(
  client: MailerLiteClient,
  cursor: string,
): Promise<Page> {
  const state = decodeCursor(cursor);
  const body = await fetchLargest(client, state, false);
  const { data, meta } = parseAnswer(subscriberPageSchema, body, `GET ${ROUTE}`);
  return readRows(state, data, meta, []);
}

function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  throw new TypeError("Cannot use the answer: it is not the bytes that were asked for");
}

// "meta" ends an answer (mailerlite-nodejs recorded tapes, subscribers list) and
// is a few hundred bytes. Read from there it is a guess, good enough to send for
// a page; where the next page really starts is read from the whole answer.
const TAIL_BYTES = 2048;

function guessNext(state: ListState, answer: Uint8Array): ListState | null {
  const tail = new TextDecoder().decode(answer.subarray(-TAIL_BYTES));
  const at = tail.lastIndexOf('"meta":');
  if (at < 0) return null;
  try {
    const { meta } = parseAnswer(
      subscriberEnvelopeSchema,
      JSON.parse(`{${tail.slice(at)}`),
      `GET ${ROUTE}`,
    );
    if (meta.next_cursor === null) return null;
    return { ...state, after: meta.next_cursor, size: Math.min(meta.per_page, PAGE_SIZE) };
  } catch {
    return null;
  }
}

function sendAhead(
  client: MailerLiteClient,
  state: ListState,
  answer: Uint8Array,
): FetchAhead | null {
  const next = guessNext(state, answer);
  if (next === null) return null;
  const request = pathOf(next, next.size ?? PAGE_SIZE);
  const coming = fetchPath(client, request, true).then(bytesOf);
  // Whoever asks for it hears of a failure; perhaps nobody does.
  coming.catch(() => {});
  return { request, answer: coming };
}

/** Fetches the page that {@linkcode listSubscribers} would read; throws as it does. */
export async function fetchSubscribers(
  client: MailerLiteClient,
  cursor: string,
  { previous, ahead }: FetchOptions,
): Promise<RawPage> {
  const state = decodeCursor(cursor);
  const coming = previous?.ahead?.request === pathOf(state, state.size ?? PAGE_SIZE)
    ? previous.ahead.answer
    : fetchLargest(client, state, true).then(bytesOf);
  const answer = await coming;
  return {
    answer,
    watch: state.unseen.map(([, id]) => id),
    ahead: ahead ? sendAhead(client, state, answer) : null,
  };
}

/** Reads what was left of a page by {@linkcode fetchSubscribers}; throws as {@linkcode listSubscribers}. */
export function readSubscribersRest(cursor: string, rest: RawPageRest): Page {
  const { meta } = parseAnswer(subscriberEnvelopeSchema, rest.envelope, `GET ${ROUTE}`);
  return readRows(decodeCursor(cursor), rest.rows, meta, rest.watched);
}
