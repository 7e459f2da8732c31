import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  endOfValue,
  findMember,
  forEachElement,
  isListAt,
  isObjectAt,
  skipSpace,
} from "./json_bytes.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function at(bytes: Uint8Array, from: number, to: number): unknown {
  return JSON.parse(decoder.decode(bytes.subarray(from, to)));
}

/** Takes a value apart and puts it together again, as far as its parts can be told. */
function rebuilt(bytes: Uint8Array, from: number): { value: unknown; end: number } {
  if (isObjectAt(bytes, from)) {
    const end = endOfValue(bytes, from);
    const keys = Object.keys(at(bytes, from, end) as object);
    const entries = keys.map((key) => {
      const found = findMember(bytes, from, JSON.stringify(key));
      assert(found !== null);
      return [key, rebuilt(bytes, found).value];
    });
    return { value: Object.fromEntries(entries), end };
  }
  if (isListAt(bytes, from)) {
    const elements: unknown[] = [];
    const end = forEachElement(bytes, from, (elementAt) => {
      const inner = rebuilt(bytes, elementAt);
      elements.push(inner.value);
      return inner.end;
    });
    return { value: elements, end };
  }
  const end = endOfValue(bytes, from);
  return { value: at(bytes, from, end), end };
}

Deno.test("findMember(), forEachElement() and endOfValue() find what JSON.parse() finds", () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ stringUnit: "binary-ascii", maxDepth: 2 }),
      fc.constantFrom(undefined, 1, "\t", " \r\n"),
      (value, space) => {
        const text = JSON.stringify(value, null, space).replaceAll('": ', '" :\n ');
        fc.pre(JSON.stringify(JSON.parse(text)) === JSON.stringify(value));
        const bytes = encoder.encode(`${text} `);
        assertEquals(JSON.stringify(rebuilt(bytes, 0).value), JSON.stringify(JSON.parse(text)));
        assertEquals(rebuilt(bytes, 0).end, endOfValue(bytes, 0));
        assertEquals(skipSpace(bytes, endOfValue(bytes, 0)), bytes.length);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("endOfValue() is not misled by quotes, brackets and backslashes in strings", () => {
  for (const value of ['"', "\\", '\\"', "}]", '{"a":[', "\u00e9\u2028", '"}', "\\\\"]) {
    const text = JSON.stringify({ a: [value, { [value]: value }] });
    assertEquals(endOfValue(encoder.encode(`${text},"`), 0), encoder.encode(text).length);
  }
});

Deno.test("what is cut off is refused wherever it is cut", () => {
  const text = '{"a":[1,{"b":"x\\"y"}],"c":null}';
  for (let length = 0; length < text.length; length++) {
    const bytes = encoder.encode(text.slice(0, length));
    assertThrows(() => rebuilt(bytes, 0), SyntaxError);
  }
});

Deno.test("findMember() finds no key that is only in a value, or in an object within", () => {
  const bytes = encoder.encode('{"a":{"b":1},"c":["b",{"b":2}],"d":"\\"b\\":3"}');
  assertEquals(findMember(bytes, 0, '"b"'), null);
  assertEquals(findMember(encoder.encode("{ }"), 0, '"b"'), null);
});
