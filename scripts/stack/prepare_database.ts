/** What a hosted Supabase project has before the first migration, and then the migrations. */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";
import { migrationUp } from "./supabase_cli.ts";

/*
 * Roles belong to the whole server, so a second database finds them made; two databases prepared at once may both try, which is why the error is caught and not
 * foreseen. The attributes are those of a hosted project. No default privileges: new projects give new tables to nobody.
 */
const platform = `
do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls')
    ) as roles (name, attributes)
  loop
    begin
      execute format('create role %I %s', wanted.name, wanted.attributes);
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
end;
$$;
create schema if not exists extensions;
grant usage on schema public, extensions to anon, authenticated, service_role;
revoke create on schema public from public;
`;

/** How to prepare a database. */
export interface PrepareOptions {
  /** Folder that holds `supabase/`. Default: this repository. */
  projectFolder?: string;
}

/**
 * Brings a database to the state of a hosted project with every migration applied: the API roles, the `auth` schema, then `supabase migration up`. Running it again
 * applies only what is new.
 *
 * @returns the migration versions that were applied
 * @throws {SupabaseCliError} when a migration fails
 */
export async function prepareDatabase(
  databaseUrl: string,
  options: PrepareOptions = {},
): Promise<string[]> {
  await execute(databaseUrl, platform);
  // Loaded late: most test processes find a prepared template and never need it.
  const { makeSystemSchema } = await import("./lite.ts");
  await makeSystemSchema(databaseUrl);
  await execute(databaseUrl, "grant usage on schema auth to anon, authenticated, service_role");
  return await migrationUp(databaseUrl, options);
}

/** Runs SQL statements without parameters. */
export async function execute(databaseUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
