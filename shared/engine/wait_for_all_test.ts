import { assertEquals, assertRejects } from "@std/assert";
import { waitForAll } from "./wait_for_all.ts";

Deno.test("waitForAll gives what each came to, in their order", async () => {
  const [text, none, number] = await waitForAll([
    Promise.resolve("text"),
    null,
    Promise.resolve(1),
  ]);
  assertEquals({ text, none, number }, { text: "text", none: null, number: 1 });
});

Deno.test("waitForAll waits for the others where one fails, and fails as the first of the list", async () => {
  const slow = Promise.withResolvers<never>();
  const order: string[] = [];
  const all = waitForAll([
    slow.promise.catch((error: unknown) => {
      order.push("slow");
      throw error;
    }),
    Promise.reject(new RangeError("second")),
  ]);
  const failed = assertRejects(() => all, TypeError, "first").then(() => order.push("told"));
  slow.reject(new TypeError("first"));
  await failed;
  assertEquals(order, ["slow", "told"]);
});
