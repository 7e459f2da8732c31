/**
 * The two envelopes of lists: by cursor (subscribers) and by page number
 * (everything else), as Laravel's paginators write them.
 *
 * @module
 */
import { phpJson } from "./php_json.ts";
import type { ApiCall } from "./call.ts";
import { decodeBase64Url, encodeBase64Url } from "./encoding.ts";

/** A place in a list sorted by id. */
export interface Cursor {
  readonly id: string;
  readonly forward: boolean;
}

/**
 * URL-safe base64 without padding of `{"id":…,"_pointsToNextItems":…}`, the id
 * a bare number (mailerlite-nodejs tapes, subscribers list, decoded).
 */
export function encodeCursor(id: string, forward: boolean): string {
  return encodeBase64Url(`{"id":${id},"_pointsToNextItems":${forward}}`);
}

/** Undefined when the text is no cursor. */
export function decodeCursor(text: string): Cursor | undefined {
  const json = decodeBase64Url(text);
  const id = json === undefined ? null : /"id":"?(\d+)"?[,}]/.exec(json);
  if (json === undefined || id?.[1] === undefined) return undefined;
  return { id: id[1], forward: !json.includes('"_pointsToNextItems":false') };
}

/** A page of a cursor list; `rows` are serialised rows with their commas, joined. */
export interface CursorPage {
  readonly rows: string;
  readonly perPage: number;
  readonly next: string | null;
  readonly prev: string | null;
}

/**
 * Links carry `cursor` alone, without limit and filters, as recorded
 * (mailerlite-nodejs tapes, subscribers list).
 */
export function cursorEnvelope(call: ApiCall, page: CursorPage): string {
  const path = `${call.base}/${call.path}`;
  const link = (cursor: string | null) => cursor === null ? null : `${path}?cursor=${cursor}`;
  const envelope = phpJson({
    links: {
      first: null,
      last: null,
      prev: link(page.prev),
      next: link(page.next),
    },
    meta: {
      path,
      per_page: page.perPage,
      next_cursor: page.next,
      prev_cursor: page.prev,
    },
  });
  return `{"data":[${page.rows}],${envelope.slice(1)}`;
}

/** A whole number parameter; `fallback` when it is absent or no number. */
export function wholeNumber(params: URLSearchParams, name: string, fallback: number): number {
  const text = params.get(name);
  return text !== null && /^-?\d+$/.test(text) ? Number(text) : fallback;
}

type PageLink = {
  url: string | null;
  label: string;
  active: boolean;
};

/** Laravel shows every page up to 13 and a window of them beyond. */
function shownPages(current: number, last: number): (number | "...")[] {
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  if (last < 14) return range(1, last);
  if (current <= 7) return [...range(1, 10), "...", ...range(last - 1, last)];
  if (current > last - 7) return [...range(1, 2), "...", ...range(last - 9, last)];
  return [
    ...range(1, 2),
    "...",
    ...range(current - 3, current + 3),
    "...",
    ...range(last - 1, last),
  ];
}

/**
 * A page of `items` (mailerlite-python cassettes, groups-list, fields-list);
 * links carry `page` alone.
 */
export function pageEnvelope<T>(
  call: ApiCall,
  items: readonly T[],
  defaults: { perPage: number; max: number },
  write: (item: T) => string,
): string {
  const asked = wholeNumber(call.params, "limit", defaults.perPage);
  const perPage = asked < 1 ? defaults.perPage : Math.min(asked, defaults.max);
  const current = Math.max(wholeNumber(call.params, "page", 1), 1);
  const last = Math.max(Math.ceil(items.length / perPage), 1);
  const start = (current - 1) * perPage;
  const shown = items.slice(start, start + perPage);
  const path = `${call.base}/${call.path}`;
  const url = (page: number) => (page < 1 || page > last ? null : `${path}?page=${page}`);
  const links: PageLink[] = [
    { url: url(current - 1), label: "&laquo; Previous", active: false },
    ...shownPages(current, last).map((page): PageLink =>
      page === "..."
        ? { url: null, label: "...", active: false }
        : { url: url(page), label: String(page), active: page === current }
    ),
    { url: url(current + 1), label: "Next &raquo;", active: false },
  ];
  const envelope = phpJson({
    links: { first: url(1), last: url(last), prev: url(current - 1), next: url(current + 1) },
    meta: {
      current_page: current,
      from: shown.length === 0 ? null : start + 1,
      last_page: last,
      links,
      path,
      per_page: perPage,
      to: shown.length === 0 ? null : start + shown.length,
      total: items.length,
    },
  });
  return `{"data":[${shown.map(write).join(",")}],${envelope.slice(1)}`;
}
