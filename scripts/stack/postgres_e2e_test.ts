import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";
import { isAlive } from "./child_process.ts";
import { PostgresError, startPostgres } from "./postgres.ts";

/** A folder that another account may enter, deleted at the end. */
async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir(Deno.uid() === 0 ? { dir: "/tmp" } : {});
  await Deno.chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("startPostgres keeps its data, refuses what it cannot use, and leaves nothing behind", async (t) => {
  await using folder = await temporaryFolder();
  const dataFolder = `${folder.path}/data`;

  await t.step("a second start finds what the first one wrote", async () => {
    {
      await using server = await startPostgres({ dataFolder });
      await query(server.url(), "create table kept as select 1 as one");
    }
    await using server = await startPostgres({ dataFolder });
    assertEquals(await query(server.url(), "select one from kept"), [{ one: 1 }]);
  });

  await t.step("it is PostgreSQL 17, never run by root", async () => {
    await using server = await startPostgres({ dataFolder });
    const [row] = await query(server.url(), "select current_setting('server_version_num') as v");
    assertEquals(String(row?.["v"]).slice(0, 2), "17");
    const { uid } = await Deno.stat(dataFolder);
    assert(uid !== 0);
    if (Deno.uid() === 0) assertEquals(uid, server.account?.uid ?? null);
  });

  await t.step("a folder in use is refused", async () => {
    await using server = await startPostgres({ dataFolder });
    const error = await assertRejects(() => startPostgres({ dataFolder }), PostgresError);
    assertEquals(error.code, "already_running");
    assertStringIncludes(error.message, `process ${server.pid}`);
  });

  await t.step("a process id left by a crash does not stop the next start", async () => {
    // Of a process that exists and is no server of this folder: this one.
    await Deno.writeTextFile(`${dataFolder}/postmaster.pid`, `${Deno.pid}\n${dataFolder}\n`);
    await using server = await startPostgres({ dataFolder });
    assertEquals(await query(server.url(), "select one from kept"), [{ one: 1 }]);
  });

  await t.step("a taken port is named, with what to do", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const error = await assertRejects(() => startPostgres({ dataFolder, port }), PostgresError);
    assertEquals(error.code, "port_taken");
    assertStringIncludes(error.message, `port ${port}`);
    assertStringIncludes(error.message, "--db-port");
  });

  await t.step("a folder of another version is refused", async () => {
    await Deno.writeTextFile(`${dataFolder}/PG_VERSION`, "15\n");
    const error = await assertRejects(() => startPostgres({ dataFolder }), PostgresError);
    assertEquals(error.code, "wrong_version");
    assertStringIncludes(error.message, "PostgreSQL 15");
    await Deno.writeTextFile(`${dataFolder}/PG_VERSION`, "17\n");
  });

  await t.step("a half-written folder is refused, with what to do", async () => {
    await Deno.remove(`${dataFolder}/global/pg_control`);
    const error = await assertRejects(() => startPostgres({ dataFolder }), PostgresError);
    assertEquals(error.code, "half_written");
    assertStringIncludes(error.message, "global/pg_control is missing");
    assertStringIncludes(error.message, "--reset");
  });
});

Deno.test("root's private folder is refused before anything is written", {
  ignore: Deno.uid() !== 0,
}, async () => {
  await using folder = await temporaryFolder();
  await Deno.chmod(folder.path, 0o700);
  const dataFolder = `${folder.path}/data`;
  const error = await assertRejects(() => startPostgres({ dataFolder }), PostgresError);
  assertEquals(error.code, "unreachable_folder");
  assertEquals([...Deno.readDirSync(folder.path)], []);
});

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

Deno.test("a killed parent takes its server along", async () => {
  await using folder = await temporaryFolder();
  const script = `
    import { startPostgres } from ${JSON.stringify(import.meta.resolve("./postgres.ts"))};
    const server = await startPostgres({ dataFolder: Deno.args[0] });
    console.log(server.pid);
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  await Deno.writeTextFile(`${folder.path}/parent.ts`, script);
  const parent = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `${folder.path}/parent.ts`, `${folder.path}/data`],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = parent.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  assert(await isAlive(pid));
  parent.kill("SIGKILL");
  await parent.status;
  await reader.cancel();
  while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  // Shut down, not killed: the folder is whole.
  await using server = await startPostgres({ dataFolder: `${folder.path}/data` });
  const log = await Deno.readTextFile(server.logFile);
  assert(!log.includes("not properly shut down"), log);
});
