import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";

/** Remembers what a remote account holds, so that a single record does not cost a request more. */
export async function rememberSchema(
  database: Database,
  pair: string,
  sets: Json,
): Promise<void> {
  await database.query(
    `insert into public.sync_state as s (key, value)
     values ('remote_schema', jsonb_build_object($1::text, jsonb_build_object(
       'sets', $2::jsonb, 'readAt', extract(epoch from clock_timestamp()) * 1000)))
     on conflict (key) do update set value = s.value || excluded.value`,
    [pair, JSON.stringify(sets)],
  );
}

/**
 * What is remembered of the account, if it was read no longer than `maxAgeMs` ago.
 *
 * @returns null where it has to be read anew.
 */
export async function recallSchema(
  database: Database,
  pair: string,
  maxAgeMs: number,
): Promise<Json> {
  const rows = await database.query<{ sets: Json }>(
    `select value -> $1 -> 'sets' as sets from public.sync_state
     where key = 'remote_schema'
       and extract(epoch from clock_timestamp()) * 1000 - (value -> $1 ->> 'readAt')::numeric <= $2`,
    [pair, maxAgeMs],
  );
  return rows[0]?.sets ?? null;
}

/** Forgets what is remembered of the account: a write has shown that it is no longer so. */
export async function forgetSchema(database: Database, pair: string): Promise<void> {
  await database.query(
    `update public.sync_state set value = value - $1::text where key = 'remote_schema'`,
    [pair],
  );
}
