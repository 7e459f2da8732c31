import { literal } from "./plain_sql.ts";

/**
 * SQL for the shadows that hold one of some keys on either side. They are read once, and
 * not at all where there are no keys.
 *
 * @param keys Name of the table of keys, in its column `natural_key`.
 * @param columns What to select of the shadow `s`, and of the keys found on either side, `ka` and `kb`.
 */
export function shadowsByKey(keys: string, keyField: string, columns: string): string {
  // Joined: asked with "in", a list too long for a hash in memory is read for every shadow.
  return `
       select ${columns}
       from public.shadow_snapshots s
       left join ${keys} ka on ka.natural_key = (s.a ->> ${literal(keyField)}) collate "C"
       left join ${keys} kb on kb.natural_key = (s.b ->> ${literal(keyField)}) collate "C"
       where exists (select from ${keys}) and (ka.natural_key is not null or kb.natural_key is not null)`;
}
