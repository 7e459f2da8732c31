import { assertEquals } from "@std/assert";
import { ID_SEPARATOR } from "../store/enumeration_store.ts";
import { IdList } from "./id_list.ts";

Deno.test("IdList holds any number of ids, in the order they came", () => {
  const ids = new IdList();
  assertEquals(ids.joined(), "");
  const wanted = Array.from({ length: 5000 }, (_, n) => `${n}`.repeat(1 + n % 9));
  for (const id of wanted) {
    const bytes = new TextEncoder().encode(`"${id}",`);
    ids.add(bytes, 1, bytes.length - 2);
  }
  assertEquals(ids.joined().split(ID_SEPARATOR), wanted);
  ids.clear();
  ids.add(new TextEncoder().encode("7"), 0);
  assertEquals(ids.joined(), "7");
});
