import { encodeHex } from "./hex.ts";
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";

/**
 * Runs `supabase/seed.sql` once a database, as `supabase start` does. The CLI's own table of seed files remembers it.
 *
 * @returns whether it ran
 */
export async function seedDatabase(databaseUrl: string, projectFolder: string): Promise<boolean> {
  const path = "supabase/seed.sql";
  const sql = await Deno.readTextFile(`${projectFolder}/${path}`).catch(() => undefined);
  if (sql === undefined) return false;
  const hash = encodeHex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(sql)));
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("begin");
    const { rowCount } = await client.query(
      `insert into supabase_migrations.seed_files (path, hash) values ($1, $2)
       on conflict (path) do nothing`,
      [path, hash],
    );
    if (rowCount === 1) await client.query(sql);
    await client.query("commit");
    return rowCount === 1;
  } finally {
    await client.end();
  }
}
