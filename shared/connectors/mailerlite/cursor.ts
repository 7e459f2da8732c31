import { z } from "zod";
import { RemoteError } from "../remote_error.ts";

/** The statuses that a list without a filter might leave out. */
export const OTHER_STATUSES = [
  "unsubscribed",
  "unconfirmed",
  "bounced",
  "junk",
] as const;

/** One of {@linkcode OTHER_STATUSES}. */
export type OtherStatus = (typeof OTHER_STATUSES)[number];

const schema = z.strictObject({
  /** Rows a page: null until the server has said what it gives. */
  size: z.number().int().min(1).max(1000).nullable(),
  /** The status that is being listed; null for the list without a filter. */
  status: z.enum(OTHER_STATUSES).nullable(),
  /** The server's own cursor; null for its first page. */
  after: z.string().min(1).nullable(),
  /** One known subscriber of each status that has not come up yet. */
  unseen: z.array(z.tuple([z.enum(OTHER_STATUSES), z.string().regex(/^\d+$/)])),
  /** Pages of this list so far. */
  pages: z.number().int().min(0),
  /** An earlier server cursor, to notice a list that goes round in circles. */
  mark: z.string().nullable(),
});

/** Where an enumeration stands. */
export type ListState = Readonly<z.infer<typeof schema>>;

const VERSION = "ml1";

// Bitwise noise in a stored cursor would otherwise still be some cursor, and the
// server answers most nonsense with some page: records would be missed silently.
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}

// A place is asked for and its page read with the text that was made last. Taking that
// apart and checking it each time was the largest part of what a page left on the heap.
let latest: { readonly text: string; readonly state: ListState } | null = null;

/** Makes the opaque text that a caller keeps. */
export function encodeCursor(state: ListState): string {
  const text = textOf(state);
  latest = { text, state };
  return text;
}

function textOf(state: ListState): string {
  const json = JSON.stringify(state).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${VERSION}.${checksum(json)}.${
    btoa(json).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")
  }`;
}

/**
 * Reads a text made by {@linkcode encodeCursor}.
 *
 * @throws {RemoteError} `invalid_cursor`, if it is another text or was changed.
 */
export function decodeCursor(cursor: string): ListState {
  if (cursor === latest?.text) return latest.state;
  const [version, sum, data, ...rest] = cursor.split(".");
  if (version === VERSION && data !== undefined && rest.length === 0) {
    try {
      const json = atob(data.replaceAll("-", "+").replaceAll("_", "/"));
      const state = schema.safeParse(JSON.parse(json));
      if (state.success && checksum(json) === sum) return state.data;
    } catch {
      // Not base64 or not JSON: answered below like every other wrong cursor.
    }
  }
  throw new RemoteError(
    "rejected",
    "invalid_cursor",
    "Cannot continue the list: the cursor was not made by this connector, or is damaged",
  );
}
