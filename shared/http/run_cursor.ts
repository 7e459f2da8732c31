import { z } from "zod";
import type { Run } from "../store/run.ts";
import { HttpError } from "./http_error.ts";

const VERSION = 1;

const cursorSchema = z.strictObject({
  v: z.literal(VERSION),
  run: z.uuid(),
  epoch: z.number().int().min(1),
  lane: z.string().max(100),
  at: z.number().int().min(0),
});

/** Where a run was left, as a caller carries it from answer to request. */
export type RunCursor = z.infer<typeof cursorSchema>;

// FNV-1a, 32 bits. It guards against damage, not against forgery: a cursor gives
// no rights, and names nothing but a run of the caller's own project.
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Makes the opaque cursor of a run. */
export function encodeRunCursor(run: Run, lane: string): string {
  const { at } = run.cursor;
  const cursor: RunCursor = {
    v: VERSION,
    run: run.id,
    epoch: run.epoch,
    lane,
    at: typeof at === "number" ? at : 0,
  };
  const text = JSON.stringify(cursor);
  return btoa(checksum(text) + text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Reads a cursor.
 *
 * @throws {HttpError} `invalid_cursor` if it is damaged, of another version, or of another direction.
 */
export function decodeRunCursor(text: string, lane: string): RunCursor {
  try {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const body = plain.slice(8);
    const cursor = cursorSchema.parse(JSON.parse(body));
    if (checksum(body) === plain.slice(0, 8) && cursor.lane === lane) return cursor;
  } catch {
    // What is wrong with it would quote what was sent.
  }
  throw new HttpError("invalid_cursor", "Cannot go on: the cursor is damaged or of another run", {
    hint: "Send the nextCursor of the last answer with the same direction, or none",
  });
}
