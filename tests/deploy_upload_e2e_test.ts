/** What `supabase functions deploy` uploads, told by the real CLI, and whether that much runs alone. */
import { assert, assertEquals } from "@std/assert";
import { cacheFunction, startFunction } from "../scripts/stack/function_process.ts";
import { supabaseExecutable } from "../scripts/stack/supabase_cli.ts";
import { startFakeManagementApi, type Upload } from "./lib/fake_management_api.ts";
import { hostedDeno } from "./lib/hosted_deno.ts";
import { importGraph, reachable } from "./lib/import_graph.ts";
import { PRODUCT } from "./lib/import_rules.ts";

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** A token of the form that the CLI insists on; nobody's. */
const TOKEN = `sbp_${"0".repeat(40)}`;

/** Most that a function may weigh, in bytes; the platform's own limit is five times that. */
const MAX_BYTES = 1_000_000;

/** Deploys every function of a project to the fake and gives what arrived. */
async function deploy(projectFolder: string): Promise<readonly Upload[]> {
  await using api = startFakeManagementApi();
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${home}/profile.yaml`,
      `name: loopback\napi_url: ${api.url}\ndashboard_url: ${api.url}\nproject_host: 127.0.0.1\n`,
    );
    const { success, stderr } = await new Deno.Command(await supabaseExecutable(), {
      args: [
        "functions",
        "deploy",
        "--use-api",
        "--remote=abcdefghijklmnopqrst",
        `--profile=${home}/profile.yaml`,
        "--yes",
        "--agent=no",
        `--workdir=${projectFolder}`,
      ],
      clearEnv: true,
      env: {
        HOME: home,
        PATH: "/usr/bin:/bin",
        SUPABASE_ACCESS_TOKEN: TOKEN,
        DO_NOT_TRACK: "1",
        SUPABASE_TELEMETRY_DISABLED: "1",
        NO_COLOR: "1",
        // Whatever goes elsewhere than to the fake fails at once.
        HTTP_PROXY: "http://127.0.0.1:9",
        HTTPS_PROXY: "http://127.0.0.1:9",
        NO_PROXY: "127.0.0.1",
      },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assert(success, said);
    // A file that the CLI cannot reach is skipped with a warning, and the exit code stays 0.
    assertEquals(said.split("\n").filter((line) => /warn|skip/i.test(line)), []);
    assertEquals(api.strange, []);
    return api.uploads;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Writes the uploaded files, and nothing else, into a folder of their own. */
async function unpack(upload: Upload): Promise<string> {
  const root = await Deno.makeTempDir();
  for (const [path, text] of upload.files) {
    await Deno.mkdir(`${root}/${path.replace(/[^/]+$/, "")}`, { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  }
  return root;
}

Deno.test("supabase functions deploy uploads what a function imports, and that alone runs", async (t) => {
  const uploads = await deploy(repository);
  const graph = await importGraph(repository, PRODUCT);
  const entries = [...graph.keys()].filter((path) =>
    /^supabase\/functions\/[^/]+\/index\.ts$/.test(path)
  );
  assert(entries.length > 0);
  assertEquals(
    uploads.map(({ slug }) => `supabase/functions/${slug}/index.ts`).sort(),
    entries.sort(),
  );

  for (const upload of uploads) {
    const folder = `supabase/functions/${upload.slug}`;
    const paths = [...upload.files.keys()].sort();

    await t.step(`${upload.slug}: exactly the files of its import graph`, () => {
      const wanted = [...reachable(graph, `${folder}/index.ts`), `${folder}/deno.json`];
      assertEquals(paths, wanted.sort());
      const unwanted =
        /_test\.ts$|^(tests|simulators|scripts)\/|(^|\/)[^/]*lock[^/]*\.json$|\.lock$/;
      assertEquals(paths.filter((path) => unwanted.test(path)), []);
      assertEquals(upload.metadata, {
        name: upload.slug,
        entrypoint_path: `${folder}/index.ts`,
        import_map_path: `${folder}/deno.json`,
        static_patterns: [],
        verify_jwt: false,
      });
    });

    await t.step(`${upload.slug}: as it stands here, and small`, async () => {
      let bytes = 0;
      for (const [path, text] of upload.files) {
        assert(text === await Deno.readTextFile(`${repository}/${path}`), `${path} was changed`);
        bytes += new TextEncoder().encode(text).length;
      }
      assert(bytes < MAX_BYTES, `${bytes} bytes`);
    });

    // Its types are checked where it stands: the files are the same to the letter.
    await t.step(`${upload.slug}: starts from the upload alone`, async () => {
      const root = await unpack(upload);
      try {
        const settings = {
          deno: await hostedDeno(),
          functionsFolder: `${root}/supabase/functions`,
          logFolder: root,
          lockFolder: root,
          env: {
            SUPABASE_URL: "http://127.0.0.1:9",
            SUPABASE_SECRET_KEYS: JSON.stringify({ default: "sb_secret_of_the_test" }),
            SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: "sb_publishable_of_the_test" }),
            SUPABASE_JWKS: JSON.stringify({ keys: [] }),
            MAILERLITE_WEBHOOK_SECRET: "secret-of-the-test",
          },
          allowedHosts: [],
        };
        await cacheFunction(upload.slug, settings);
        const process = await startFunction(upload.slug, settings);
        try {
          const answer = await fetch(`${process.origin}/${upload.slug}`, {
            method: "POST",
            headers: { apikey: "sb_publishable_of_the_test" },
            body: "{}",
          });
          assertEquals([answer.status, (await answer.json()).code], [401, "unauthorized"]);
        } finally {
          await process.kill();
        }
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    });
  }
});
