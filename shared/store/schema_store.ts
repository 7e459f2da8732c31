import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";

/**
 * Remembers what a remote account holds, so that a single record does not cost a
 * request more.
 *
 * @param fingerprint Of the configuration it was checked against.
 */
export async function rememberSchema(
  database: Database,
  pair: string,
  fingerprint: string,
  sets: Json,
): Promise<void> {
  await database.query(
    `insert into public.sync_state as s (key, value)
     values ('remote_schema', jsonb_build_object($1::text, jsonb_build_object('sets', $3::jsonb,
       'fingerprint', hashtextextended($2, 0)::text, 'readAt', floor(extract(epoch from clock_timestamp()) * 1000))))
     on conflict (key) do update set value = s.value || excluded.value`,
    [pair, fingerprint, JSON.stringify(sets)],
  );
}

/**
 * What is remembered of the account, if it was read no longer than `maxAgeMs` ago
 * and checked against this configuration: a field that was mapped since may not
 * exist there, and would read as blank on every record.
 *
 * @returns null where it has to be read anew.
 */
export async function recallSchema(
  database: Database,
  pair: string,
  fingerprint: string,
  maxAgeMs: number,
): Promise<Json> {
  const rows = await database.query<{ sets: Json }>(
    `select value -> $1 -> 'sets' as sets from public.sync_state
     where key = 'remote_schema' and value -> $1 ->> 'fingerprint' = hashtextextended($2, 0)::text
       and extract(epoch from clock_timestamp()) * 1000 - (value -> $1 ->> 'readAt')::numeric <= $3`,
    [pair, fingerprint, maxAgeMs],
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
