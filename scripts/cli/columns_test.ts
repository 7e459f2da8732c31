import { assertEquals } from "@std/assert";
import { renderColumns, renderRows } from "./columns.ts";

Deno.test("renderColumns() puts every column to the left and leaves no spaces at an end", () => {
  assertEquals(renderColumns([["a", "bcd", ""], ["xyz", "q", "e"]]), "a    bcd\nxyz  q    e");
});

Deno.test("renderRows() shows no head without rows", () => {
  assertEquals(renderRows(["id"], []), []);
  assertEquals(renderRows(["id"], [["1"]]), ["id\n1"]);
});
