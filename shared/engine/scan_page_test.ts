import { assertEquals, assertThrows } from "@std/assert";
import { fingerprintOf } from "../merge/fingerprint.ts";
import type { Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Print } from "../merge/print.ts";
import type { Projection } from "../merge/projection.ts";
import { IdList } from "./id_list.ts";
import { PrintSet } from "./print_set.ts";
import { scanPage } from "./scan_page.ts";

const LIMIT = { percent: 5, floor: 20 };
const rules: PairRules = {
  name: "people",
  keyField: "mail",
  keyCompare: "lower-trim",
  fields: {
    mail: {
      kind: "value",
      wins: "manual",
      flow: "both",
      mayBlank: false,
      type: "text",
      local: "mail",
      remote: "mail",
    },
  },
  onNewRemote: "create",
  onNewLocal: "create",
  onLocalDelete: "mark",
  onRemoteMissing: "mark",
  limits: { deletes: LIMIT, unsubscribes: LIMIT, blanks: LIMIT, updates: LIMIT },
};
const projection: Projection = {
  rows: ["answer", "data"],
  id: { key: "id", pattern: "^[0-9]+$" },
  oddKey: "gone",
  locate: (path) => ({ keys: path.split(".") }),
};
const encoder = new TextEncoder();

function known(prints: Iterable<Print>): PrintSet {
  const set = new PrintSet();
  for (const { high, low } of prints) {
    const view = new DataView(new ArrayBuffer(8));
    view.setInt32(0, high);
    view.setInt32(4, low);
    set.add(new Uint8Array(view.buffer));
  }
  return set;
}

function scan(text: string, prints: Iterable<Print> = []) {
  const fingerprint = fingerprintOf(rules, projection);
  const ids = new IdList();
  const scanner = { projection, fingerprint, known: known(prints), ids };
  return { ...scanPage(scanner, encoder.encode(text)), ids: ids.since(0) };
}

function page(data: Json, meta: Json = { next: "x", data: [1] }): string {
  return JSON.stringify({ meta, answer: { more: [], data, last: true } }, null, 1);
}

const PEOPLE = [
  { id: "1", mail: "a@example.com", opened: 1 },
  { id: "2", mail: 'b"]},{@example.com', opened: 2 },
  { id: "3", mail: "ç@example.com", opened: 3 },
];

Deno.test("scanPage() keeps the records whose prints are not known, with their prints, and every id", () => {
  const first = scan(page(PEOPLE));
  assertEquals(first.differing, PEOPLE);
  assertEquals([...first.prints.keys()], ["1", "2", "3"]);
  const opened = PEOPLE.map((row) => ({ ...row, opened: row.opened + 1 }));
  const edited = { id: "2", mail: "c@example.com", opened: 2 };
  const second = scan(
    page(opened.map((row) => row.id === "2" ? edited : row)),
    first.prints.values(),
  );
  assertEquals(second.differing, [edited]);
  assertEquals([...second.prints.keys()], ["2"]);
  assertEquals([second.ids, second.seen], [["1", "2", "3"], 3]);
});

Deno.test("scanPage() gives the answer without its records", () => {
  for (const data of [[], PEOPLE]) {
    const { envelope } = scan(page(data));
    assertEquals(envelope, JSON.parse(page([])));
  }
});

Deno.test("scanPage() leaves to others what it cannot tell", () => {
  const odd = [
    null,
    7,
    "text",
    [1, [2]],
    { mail: "a@example.com" },
    { id: 4, mail: "a@example.com" },
    { id: "x4", mail: "a@example.com" },
    { id: "5", mail: "a@example.com", gone: "2026-01-01" },
    { id: "6", mail: ["a@example.com"] },
  ];
  const scanned = scan(page(odd));
  assertEquals(scanned.differing, odd);
  // The last one's id can be told, its address cannot.
  assertEquals([scanned.prints.size, scanned.ids, scanned.seen], [0, ["6"], odd.length]);
});

Deno.test("scanPage() refuses an answer that is cut off anywhere, or holds no list, and quotes nothing of it", () => {
  const whole = page(PEOPLE);
  const { prints } = scan(whole);
  const broken = Array.from({ length: whole.length }, (_, length) => whole.slice(0, length));
  for (const text of [...broken, '{"answer":{}}', page(null), page({}), page("[]"), "[]", "null"]) {
    const error = assertThrows(() => scan(text, prints.values()), SyntaxError);
    if (!error.message.startsWith("Cannot read")) assertEquals(error.message.includes("@"), false);
  }
});

Deno.test("scanPage() refuses an answer with two lists of records, of which it would read one", () => {
  const list = JSON.stringify(PEOPLE);
  assertThrows(
    () => scan(`{"answer":{"data":${list},"data":${list}}}`),
    SyntaxError,
    "Cannot read a page: it has two lists of records",
  );
});
