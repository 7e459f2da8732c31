import { assert, assertEquals, assertFalse } from "@std/assert";
import { TestApi } from "../../simulators/mailerlite/test_api.ts";
import { fakeClient, fakeContext } from "./_test_util.ts";
import type { CommandContext } from "./command.ts";
import { EXIT_CODE } from "./exit_code.ts";
import { main } from "./main.ts";
import { RefusedError } from "./sync_client.ts";
import { webhooksCommand } from "./webhooks.ts";

const ADDRESS = "https://project.test/functions/v1/sync-webhook";

/** An account, and the command in front of it. */
function account(env: Record<string, string> = { MAILERLITE_API_KEY: "simulator-token" }) {
  const api = new TestApi();
  const { printed, told, ...rest } = fakeContext(fakeClient([]));
  const context: CommandContext = { ...rest, client: fakeClient([]) };
  const slept: number[] = [];
  let now = 0;
  const command = webhooksCommand({
    env: (name) => env[name],
    fetch: async (input, init) => await api.simulator.handle(new Request(input, init)),
    now: () => now,
    random: () => 0,
  });
  return {
    api,
    printed,
    told,
    slept,
    run: async (...args: string[]) =>
      await command.read(args)({
        ...context,
        sleep: (ms) => {
          slept.push(ms);
          now += ms;
          api.simulator.advance(ms);
          return Promise.resolve();
        },
      }),
    /** The first webhook, as the API tells it. */
    first: async () => {
      const { body } = await api.call("GET", "webhooks");
      const [row] = body["data"] as Record<string, unknown>[];
      return row ?? {};
    },
  };
}

async function refusedWith(work: Promise<unknown>): Promise<RefusedError> {
  const error = await work.then(() => undefined, (error: unknown) => error);
  assert(error instanceof RefusedError);
  return error;
}

Deno.test("webhooks add registers the address and prints the secret with the way to set it", async () => {
  const { run, first, printed, told } = account();
  assertEquals(await run("add", ADDRESS), EXIT_CODE.ok);
  const { id, secret, url } = await first();
  assertEquals(url, ADDRESS);
  const text = printed.join("\n");
  assert(text.startsWith(`Registered webhook ${id} for ${ADDRESS}\n`));
  assert(text.includes(`npx supabase secrets set MAILERLITE_WEBHOOK_SECRET=${secret}\n`));
  assertEquals(told, []);
});

Deno.test("webhooks add of an address that is registered changes it and adds nothing", async () => {
  const { run, first, printed, api } = account();
  await run("add", ADDRESS);
  const { secret } = await first();
  assertEquals(await run("add", ADDRESS), EXIT_CODE.ok);
  assertEquals(api.simulator.counts().webhooks, 1);
  assert(printed[1]?.startsWith("Brought up to date webhook"));
  assert(printed[1]?.includes(String(secret)));
});

Deno.test("webhooks add tells beside its result how to remove a second webhook of the address", async () => {
  const { run, api, told } = account();
  const events = ["subscriber.created"];
  const { id } = await api.data("POST", "webhooks", { url: ADDRESS, events });
  await api.data("POST", "webhooks", { url: ADDRESS, events });
  await run("add", ADDRESS);
  assertEquals(told.length, 1);
  assert(told[0]?.endsWith(`webhooks remove ${id}`));
});

Deno.test("webhooks list shows each webhook, how its last call ended, and no secret", async () => {
  const { run, first, printed, api } = account();
  assertEquals(await run("list"), EXIT_CODE.ok);
  assertEquals(printed, ["No webhooks"]);
  await run("add", ADDRESS);
  await run("list");
  assert(printed.at(-1)?.includes("never called"));
  const { id, secret } = await first();
  api.receive = () => 401;
  await api.subscriber("a@example.com");
  api.simulator.advance(60_000);
  await api.simulator.pumpWebhooks();
  await run("list");
  assertEquals(printed.at(-1)?.split("\n").slice(0, 3), [
    `${id}  ${ADDRESS}`,
    "  enabled        yes",
    "  last response  401 at 2024-08-13 09:50:51 UTC",
  ]);
  assert(printed.at(-1)?.includes("subscriber.deleted"));
  await run("list", "--json");
  const [row] = JSON.parse(printed.at(-1) ?? "");
  assertEquals([row.id, row.url, row.enabled, row.lastResponse], [id, ADDRESS, true, "401"]);
  for (const text of printed.slice(2)) assertFalse(text.includes(String(secret)));
});

Deno.test("webhooks remove removes one, and is refused where there is none", async () => {
  const { run, first, printed, api } = account();
  await run("add", ADDRESS);
  const { id } = await first();
  assertEquals(await run("remove", String(id), "--json"), EXIT_CODE.ok);
  assertEquals(JSON.parse(printed.at(-1) ?? ""), { outcome: "removed", id });
  assertEquals(api.simulator.counts().webhooks, 0);
  assertEquals((await refusedWith(run("remove", String(id)))).code, "remote_not_found");
});

Deno.test("webhooks add --json prints one object with the secret in it", async () => {
  const { run, first, printed } = account();
  await run("add", ADDRESS, "--json");
  const { id, secret } = await first();
  assertEquals(printed.length, 1);
  const answer = JSON.parse(printed[0] ?? "");
  assertEquals([answer.outcome, answer.id, answer.secret], ["created", id, secret]);
});

Deno.test("webhooks says what is missing or wrong with the key, and never shows it", async () => {
  const missing = await refusedWith(account({}).run("list"));
  assertEquals(missing.code, "missing_configuration");
  assert(`${missing.message} ${missing.hint}`.includes("MAILERLITE_API_KEY"));
  const wrong = await refusedWith(account({ MAILERLITE_API_KEY: "wrong-token" }).run("list"));
  assertEquals(wrong.code, "remote_unauthorized");
  assert(wrong.hint?.includes("MAILERLITE_API_KEY"));
  assertFalse(`${wrong.message} ${wrong.hint}`.includes("wrong-token"));
});

Deno.test("webhooks add that nobody knows the end of asks to be run again", async () => {
  const { run, api } = account();
  api.simulator.setFaults([{
    method: "POST",
    path: "/webhooks",
    effect: { kind: "reset", when: "after" },
  }]);
  const error = await refusedWith(run("add", ADDRESS));
  assert(error.hint?.startsWith("Try again"));
  assertEquals(await run("add", ADDRESS), EXIT_CODE.ok);
  assertEquals(api.simulator.counts().webhooks, 1);
});

Deno.test("webhooks waits as long as the rate limit says, and goes on", async () => {
  const { run, api, slept, printed } = account();
  api.simulator.setFaults([{ times: 1, effect: { kind: "rate_limit", retryAfter: 7 } }]);
  assertEquals(await run("list"), EXIT_CODE.ok);
  assertEquals([slept, printed], [[7_000], ["No webhooks"]]);
});

Deno.test("main() runs webhooks without looking for a project", async () => {
  const key = Deno.env.get("MAILERLITE_API_KEY");
  Deno.env.delete("MAILERLITE_API_KEY");
  try {
    const context = fakeContext(fakeClient([]));
    const openClient = () => Promise.reject(new TypeError("No project may be asked for"));
    const code = await main(["webhooks", "list"], { ...context, openClient });
    assertEquals(code, EXIT_CODE.couldNotLook);
    assert(context.told[0]?.endsWith("(missing_configuration)"));
  } finally {
    if (key !== undefined) Deno.env.set("MAILERLITE_API_KEY", key);
  }
});

Deno.test("main() refuses what webhooks cannot read, with its usage", async () => {
  const lines = [
    [],
    ["add"],
    ["add", "nowhere"],
    ["add", "http://project.test/functions/v1/sync-webhook"],
    ["add", "ftp://127.0.0.1/"],
    ["add", ADDRESS, ADDRESS],
    ["list", "all"],
    ["remove"],
    ["remove", "../subscribers"],
    ["eat", "1"],
    ["list", "--wait"],
  ];
  for (const args of lines) {
    const context = fakeContext(fakeClient([]));
    const openClient = () => Promise.reject(new TypeError("No project may be asked for"));
    const code = await main(["webhooks", ...args], { ...context, openClient });
    assertEquals(code, EXIT_CODE.couldNotLook, args.join(" "));
    assertEquals(context.printed, []);
    assert(context.told.join("\n").includes("deno task sync webhooks add <url>"), args.join(" "));
  }
});

Deno.test("webhooks takes an address of this machine without TLS, for the local stack", async () => {
  const { run, first } = account();
  await run("add", "http://127.0.0.1:54321/functions/v1/sync-webhook");
  assertEquals((await first())["url"], "http://127.0.0.1:54321/functions/v1/sync-webhook");
});
