import { keyDigest } from "./work_store.ts";

/**
 * SQL that remembers keys of people who must not be written to, by digest. Takes `fence`.
 *
 * @param parameter A JSON array of `{ key, consent }`.
 */
export function suppressed(parameter: string): string {
  return `insert into public.sync_suppressions as p (pair, key_digest, consent)
       select distinct on (2) fence.pair, ${keyDigest("fence.pair", "x.key")}, x.consent
       from fence, jsonb_to_recordset(${parameter}::jsonb) as x (key text, consent text)
       where x.key <> ''
       on conflict (pair, key_digest) do update set consent = excluded.consent
       where p.consent is distinct from excluded.consent`;
}
