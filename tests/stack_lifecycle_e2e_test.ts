/** A whole stack of its own: where it listens, what it starts, what is left of it when it is killed. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { isAlive } from "../scripts/stack/child_process.ts";
import { PortTakenError, startStack } from "../scripts/stack/stack.ts";
import { plantTree } from "./lib/plant_tree.ts";

const project = {
  "supabase/config.toml": 'project_id = "test"\n[db]\nmajor_version = 17\n',
  "supabase/migrations/20260101000000_one.sql":
    "create table public.notes (id int primary key, body text not null);\n" +
    "alter table public.notes enable row level security;\n" +
    "grant select on public.notes to service_role;\n",
  "supabase/seed.sql": "insert into public.notes values (1, 'seeded');\n",
  "supabase/functions/hello/deno.json": "{}",
  "supabase/functions/hello/index.ts":
    "export default { fetch: () => Response.json({ deno: Deno.version.deno, pid: Deno.pid }) };\n",
};

/** Starts a stack and prints what a test needs to know about it. */
const parent = (projectFolder: string) => `
import { startStack } from ${JSON.stringify(import.meta.resolve("../scripts/stack/stack.ts"))};
const stack = await startStack({ projectFolder: ${JSON.stringify(projectFolder)}, deno: "2.1.4" });
const hello = await (await fetch(stack.url + "/functions/v1/hello")).json();
const answers = [];
for (const key of [stack.keys.secret.default, stack.keys.publishable]) {
  const answer = await fetch(stack.url + "/rest/v1/notes?select=body", { headers: { apikey: key } });
  answers.push([answer.status, (await answer.text()).includes("seeded")]);
}
const simulator = await fetch(stack.mailerliteUrl + "/subscribers?limit=1", {
  headers: { authorization: "Bearer " + stack.simulator.token },
});
console.log(JSON.stringify({
  hello, answers, simulator: simulator.status, url: stack.url, simulatorPid: stack.simulator.pid,
  postgresPid: Number((await Deno.readTextFile(stack.logFolder + "/../postgres/postmaster.pid")).split("\\n")[0]),
  folder: stack.logFolder.replace("/logs", ""),
}));
await new Promise((resolve) => setTimeout(resolve, 60_000));`;

Deno.test("a stack starts on free ports, and its death takes every child along", async () => {
  await using tree = await plantTree(project);
  await Deno.writeTextFile(`${tree.root}/parent.ts`, parent(tree.root));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      `--config=${new URL("../deno.json", import.meta.url).pathname}`,
      `${tree.root}/parent.ts`,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  const report = JSON.parse(text);
  const pids: number[] = [report.hello.pid, report.simulatorPid, report.postgresPid];
  try {
    assertEquals(report.hello.deno, "2.1.4");
    // The migration grants to the service role alone.
    assertEquals(report.answers, [[200, true], [401, false]]);
    assertEquals(report.simulator, 200);
    assertEquals(await Promise.all(pids.map(isAlive)), [true, true, true]);
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
  }
  for (const pid of pids) {
    while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await Deno.remove(report.folder, { recursive: true });
});

Deno.test("a taken port of the API is named before anything is started", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const error = await assertRejects(() => startStack({ port }), PortTakenError);
  assertStringIncludes(error.message, `port ${port}`);
  assertStringIncludes(error.message, "--port");
});

Deno.test("a stack that cannot start says why and leaves no process", async () => {
  await using tree = await plantTree({
    ...project,
    "supabase/migrations/20260101000000_one.sql": "create table broken (;",
  });
  const dataFolder = `${tree.root}/stack`;
  await Deno.chmod(tree.root, 0o755);
  const error = await assertRejects(
    () => startStack({ projectFolder: tree.root, simulator: false, dataFolder }),
    Error,
  );
  assertStringIncludes(error.message, "syntax error");
  assert(!error.message.includes("postgres:postgres"));
  const left = await Deno.stat(`${dataFolder}/postgres/postmaster.pid`).catch(() => undefined);
  assertEquals(left, undefined);
});
