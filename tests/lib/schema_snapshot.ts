// @ts-types="npm:@types/pg@8.23.1"
import type pg from "pg";

/**
 * Everything in the schema `public` that a migration can set, one text a thing, in a fixed order:
 * columns, constraints, indexes, triggers, functions, policies, row security and privileges.
 */
export async function schemaSnapshot(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ thing: string }>(`
    with relation as (
      select oid, oid::regclass::text as name, relkind, relrowsecurity, relacl
      from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    )
    select thing from (
      select format('relation %s %s rls=%s acl=%s', relkind, name, relrowsecurity, relacl) as thing
      from relation
      union all
      select format('column %s %s.%s %s notnull=%s identity=%s default=%s', a.attnum, r.name,
        a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid))
      from relation r
      join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where r.relkind <> 'S'
      union all
      select format('constraint %s %s %s', r.name, c.conname, pg_get_constraintdef(c.oid))
      from relation r join pg_constraint c on c.conrelid = r.oid
      union all
      select indexdef from pg_indexes where schemaname = 'public'
      union all
      select pg_get_triggerdef(t.oid)
      from relation r join pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
      union all
      select format('%s acl=%s', pg_get_functiondef(p.oid), p.proacl)
      from pg_proc p where p.pronamespace = 'public'::regnamespace
      union all
      select format('policy %s %s %s to %s using %s check %s', tablename, policyname, cmd, roles,
        qual, with_check)
      from pg_policies where schemaname = 'public'
    ) things
    order by thing`);
  return rows.map(({ thing }) => thing);
}
