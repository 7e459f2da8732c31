import pg from "pg";

/** From here on a parameter is sent by itself, in bytes. */
const LARGE_BYTES = 65_536;

// PostgreSQL 17 documentation, 53.7, Message Formats.
const TYPE = { parse: 0x50, bind: 0x42, describe: 0x44, execute: 0x45, sync: 0x53 } as const;
const ZERO = Uint8Array.of(0);
const encoder = new TextEncoder();

function arrayText(items: readonly unknown[]): string {
  return `{${items.map((item) => `"${String(item).replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}

function valueOf(parameter: unknown): Uint8Array | null {
  if (parameter === null || parameter instanceof Uint8Array) return parameter;
  if (Array.isArray(parameter)) return encoder.encode(arrayText(parameter));
  if (typeof parameter === "string" || typeof parameter === "number") {
    return encoder.encode(String(parameter));
  }
  throw new TypeError(`Cannot send a parameter beside bytes: its type is ${typeof parameter}`);
}

function int16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}

function int32(value: number): Uint8Array {
  return Uint8Array.of(value >> 24, value >> 16, value >> 8, value);
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((size, part) => size + part.length, 0);
}

function message(type: number, ...parts: readonly Uint8Array[]): Uint8Array[] {
  return [Uint8Array.of(type), int32(4 + sizeOf(parts)), ...parts];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(sizeOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Joins what is small, and leaves what is large as it is. */
function pieces(parts: readonly Uint8Array[]): Uint8Array[] {
  const result: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  for (const part of parts) {
    if (part.length < LARGE_BYTES) {
      small.push(part);
      continue;
    }
    result.push(joined(small), part);
    small = [];
  }
  return [...result, joined(small)];
}

/** The messages of a statement without a name, from its text to the end of its answer. */
function messages(sql: string, parameters: readonly unknown[]): Uint8Array[] {
  const values = parameters.map(valueOf);
  const count = int16(parameters.length);
  return pieces([
    ...message(TYPE.parse, ZERO, encoder.encode(`${sql}\0`), int16(0)),
    ...message(
      TYPE.bind,
      ZERO,
      ZERO,
      count,
      ...parameters.map((parameter) => int16(parameter instanceof Uint8Array ? 1 : 0)),
      count,
      ...values.flatMap((value) => value === null ? [int32(-1)] : [int32(value.length), value]),
      int16(0),
    ),
    ...message(TYPE.describe, encoder.encode("P\0")),
    ...message(TYPE.execute, ZERO, int32(0)),
    ...message(TYPE.sync),
  ]);
}

/**
 * Makes a query of the driver whose large parameters are sent as the bytes they are.
 *
 * The driver copies a parameter into its message, and Node's stream copies that
 * message once more to send it with those around it. For a page of a megabyte
 * that is two more, outside of what JavaScript holds, where the garbage collector
 * looks late: they were most of what a long run held.
 *
 * @param parameters Texts, numbers, arrays of either, null, and bytes for `bytea`.
 * @throws {TypeError} If a parameter is something else.
 */
export function bytesQuery(sql: string, parameters: readonly unknown[]): pg.Query {
  const unsent = messages(sql, parameters);
  const query = new pg.Query(sql, []);
  // The driver calls it when the connection is free, and reads the answer itself.
  query.submit = ({ stream }: pg.Connection): void => {
    // One after the other: what waits in the stream is sent as one, copied.
    const send = (index: number) => {
      const piece = unsent[index];
      if (piece === undefined) return;
      stream.write(piece, (error?: Error | null) => {
        // A connection that breaks tells the driver itself.
        if (!error) send(index + 1);
      });
    };
    send(0);
  };
  return query;
}
