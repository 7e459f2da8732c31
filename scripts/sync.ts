/** `deno task sync <command>`: the sync from a terminal. See `cli/main.ts`. */
import { main } from "./cli/main.ts";
import { findProject } from "./cli/project.ts";
import { openSyncClient } from "./cli/sync_client.ts";
import { standardOutput } from "./cli/terminal.ts";

const localKeys = new URL("../.stack/keys.json", import.meta.url);

async function readLocalKeys(): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(localKeys);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

if (import.meta.main) {
  const code = await main(Deno.args, {
    openClient: async () =>
      openSyncClient(await findProject((name) => Deno.env.get(name), readLocalKeys)),
    print: (line) => console.log(line),
    tell: (line) => console.error(line),
    progress: standardOutput(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
  Deno.exit(code);
}
