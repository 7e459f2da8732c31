import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { json, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { createGroups } from "./groups.ts";

const SCHEMA = { fields: [], sets: { groups: { VIP: ["1"] } }, start: "s" };

Deno.test("createGroups() makes the groups that are missing, each once", async () => {
  const context = testContext(({ body }) => {
    const { requests } = body as { requests: { body: { name: string } }[] };
    return json({
      responses: requests.map(({ body }, index) => ({
        code: 201,
        body: { data: { id: String(index + 10), name: body.name } },
      })),
    });
  });
  const names = ["A", "VIP", "constructor", "A"];
  const schema = await createGroups(
    new MailerLiteClient(context),
    SCHEMA,
    names,
  );
  assertEquals(schema.start, "s");
  assertEquals(Object.entries(schema.sets.groups ?? {}), [
    ["VIP", ["1"]],
    ["A", ["10"]],
    ["constructor", ["11"]],
  ]);
  assertEquals(context.sent.length, 1);
});

Deno.test("createGroups() sends nothing where nothing is missing", async () => {
  const context = testContext(() => new Error("not to be called"));
  const client = new MailerLiteClient(context);
  assertEquals(await createGroups(client, SCHEMA, ["VIP"]), SCHEMA);
});

Deno.test("createGroups() repeats nothing blindly and names what the refusal named", async () => {
  const lost = testContext(() => new TypeError("reset"));
  const unknown = await assertRejects(
    () => createGroups(new MailerLiteClient(lost), SCHEMA, ["A"]),
    RemoteError,
  );
  assertEquals([unknown.kind, lost.sent.length], ["unknown_outcome", 1]);
  const full = testContext(() => json({ errors: { name: ["x"] } }, 422));
  const refused = await assertRejects(
    () => createGroups(new MailerLiteClient(full), SCHEMA, ["A"]),
    RemoteError,
  );
  assertEquals([refused.kind, refused.code], ["rejected", "rejected_name"]);
});
