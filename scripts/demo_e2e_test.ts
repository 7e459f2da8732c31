import { assert, assertEquals } from "@std/assert";

const scripts = new URL(".", import.meta.url).pathname;

function script(name: string, args: string[], env: Record<string, string> = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", `${scripts}${name}`, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function runScript(name: string, args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await script(name, args, env).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function after(label: RegExp, text: string): string {
  return label.exec(text)?.[1] ?? "";
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("the demo pairs everybody, stays up for the CLI with --keep, and leaves nothing behind", async () => {
  await using demo = script("demo.ts", ["--pairs", "1300", "--keep"]).spawn();
  let text = "";
  for await (const chunk of demo.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/^ {2}Logs +\S+\n/m.test(text)) break;
  }
  for (const row of ["pairs linked +1,300", "shadows created +1,300", "drift\\) +130"]) {
    assert(new RegExp(row).test(text), text);
  }
  // Twelve addresses, each of two clients and a subscriber.
  assert(/records quarantined +36/.test(text), text);
  // 1,319 subscribers are two pages, and the account's fields and groups are a third request.
  assert(/API requests used +3/.test(text), text);

  const env = {
    SUPABASE_URL: after(/SUPABASE_URL=(\S+)/, text),
    SUPABASE_SECRET_KEY: after(/SUPABASE_SECRET_KEY=(\S+)/, text),
  };
  const status = await runScript("sync.ts", ["status", "--json"], env);
  assertEquals([status.code, status.stderr], [0, ""]);
  assertEquals(JSON.parse(status.stdout).run.counters.linked, 1_300);
  const again = await runScript("sync.ts", ["backfill", "--wait", "--json"], env);
  assertEquals([again.code, again.stderr], [0, ""]);
  assertEquals(JSON.parse(again.stdout).outcome, "completed");
  const refused = await runScript("sync.ts", ["pause"], env);
  assertEquals([refused.code, refused.stdout], [2, ""]);
  assert(refused.stderr.includes("(no_run)"));
  const wrongKey = await runScript("sync.ts", ["status"], {
    ...env,
    SUPABASE_SECRET_KEY: "sb_secret_wrong",
  });
  assertEquals([wrongKey.code, wrongKey.stdout], [2, ""]);
  assert(wrongKey.stderr.includes("SUPABASE_SECRET_KEY"));

  const logs = after(/^ {2}Logs +(\S+)\n/m, text);
  assert(await exists(logs));
  demo.kill("SIGINT");
  assertEquals((await demo.status).code, 0);
  assertEquals(await exists(logs), false);
  const gone = await runScript("sync.ts", ["status"], env);
  assertEquals([gone.code, gone.stdout], [2, ""]);
  assert(gone.stderr.includes("nothing answers there"));
});
