import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./command.ts";
import { readConflictSettings } from "./conflict_task.ts";
import { typedValue } from "./conflicts.ts";

function task(line: string) {
  return readConflictSettings(line.split(" ")).task;
}

Deno.test("readConflictSettings() reads each of the tasks", () => {
  assertEquals(task("list"), { name: "list", status: "open", field: undefined, limit: 50 });
  assertEquals(task("show 12"), { name: "show", id: 12 });
  assertEquals(task("reopen 12"), { name: "reopen", id: 12 });
  assertEquals(task("resolve 12 remote"), {
    name: "resolve",
    id: 12,
    choice: "remote",
    value: null,
  });
  assertEquals(task("resolve 12 Oslo"), {
    name: "resolve",
    id: 12,
    choice: "value",
    value: "Oslo",
  });
  assertEquals(task("resolve 12 --value local"), {
    name: "resolve",
    id: 12,
    choice: "value",
    value: "local",
  });
  assertEquals(task("resolve --all --field city --choose local"), {
    name: "resolve_all",
    field: "city",
    choice: "local",
    apply: false,
  });
});

Deno.test("readConflictSettings() refuses what could decide something else than was meant", () => {
  const lines = [
    "",
    "decide 12 local",
    "show",
    "show twelve",
    "show 12 13",
    "resolve 12",
    "resolve local",
    "resolve 12 New York",
    "resolve 12 Oslo --value Bergen",
    "resolve 12 local --apply",
    "resolve --all --choose local",
    "resolve --all --field city",
    "resolve --all --field city --choose value",
    "resolve 12 --all --field city --choose local",
    "list --apply",
  ];
  for (const line of lines) assertThrows(() => task(line), UsageError, undefined, line);
});

Deno.test("typedValue() takes the form of the sides", () => {
  assertEquals(typedValue("Oslo", { a: "Bergen", b: null }), "Oslo");
  assertEquals(typedValue("VIP, Clients", { a: [], b: ["VIP"] }), ["VIP", "Clients"]);
  assertEquals(typedValue("", { a: null, b: ["VIP"] }), []);
  assertEquals(typedValue("true", { a: false, b: null }), true);
  assertEquals(typedValue("true", { a: "x", b: null }), "true");
  assertEquals(typedValue("5", { a: "4", b: "6" }), "5");
});
