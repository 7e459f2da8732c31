import { assertEquals } from "@std/assert";
import { ID_SEPARATOR } from "../store/enumeration_store.ts";
import { IdList } from "./id_list.ts";

function add(ids: IdList, ...given: readonly string[]): void {
  for (const id of given) {
    const bytes = new TextEncoder().encode(`"${id}",`);
    ids.add(bytes, 1, bytes.length - 2);
  }
}

function take(ids: IdList): string {
  return new TextDecoder().decode(ids.take());
}

Deno.test("IdList holds any number of ids, in the order they came", () => {
  const ids = new IdList();
  const wanted = Array.from({ length: 5000 }, (_, n) => `${n}`.repeat(1 + n % 9));
  add(ids, ...wanted);
  assertEquals(take(ids).split(ID_SEPARATOR), wanted);
});

Deno.test("IdList leaves alone what it handed over", () => {
  const ids = new IdList();
  assertEquals(take(ids), "");
  add(ids, "1", "2");
  const first = ids.take();
  add(ids, "3");
  assertEquals(new TextDecoder().decode(first), `1${ID_SEPARATOR}2`);
  assertEquals(take(ids), "3");
});

Deno.test("IdList tells and takes back what was added since", () => {
  const ids = new IdList();
  assertEquals(ids.since(0), []);
  add(ids, "10", "11");
  const { length } = ids;
  assertEquals([ids.since(0), ids.since(length)], [["10", "11"], []]);
  add(ids, "12", "13");
  assertEquals(ids.since(length), ["12", "13"]);
  ids.cut(length);
  add(ids, "14");
  assertEquals([ids.since(length), take(ids)], [["14"], ["10", "11", "14"].join(ID_SEPARATOR)]);
});
