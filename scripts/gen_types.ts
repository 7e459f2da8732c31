/**
 * `deno run -A scripts/gen_types.ts`: writes the row types of the migrated schema
 * (`supabase gen types`) to `shared/store/database.types.ts`. To be run after every change of a
 * migration; a test fails when the file is stale.
 */
import { startPostgres } from "./stack/postgres.ts";
import { prepareDatabase } from "./stack/prepare_database.ts";
import { genTypes } from "./stack/supabase_cli.ts";

/** The file with the row types. */
export const TYPES_FILE = new URL("../shared/store/database.types.ts", import.meta.url);

async function main(): Promise<void> {
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-types-",
    // Root's server runs under another account, which must be able to enter.
    ...(Deno.uid() === 0 ? { dir: "/tmp" } : {}),
  });
  await Deno.chmod(folder, 0o755);
  try {
    await using server = await startPostgres({ dataFolder: `${folder}/data`, durable: false });
    await prepareDatabase(server.url());
    await Deno.writeTextFile(TYPES_FILE, await genTypes(server.url()));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await main();
