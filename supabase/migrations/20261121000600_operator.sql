-- What an operator does by hand beyond deciding conflicts.

-- Puts values of side A back that a run wrote or carried over. Every write names
-- the value that was seen: a cell that holds another one by now is left alone. It
-- is an ordinary edit: the triggers queue the record, and the next sync carries the
-- value to the other side as it would any edit of a person.
--
-- Only what the run's log has as a change of a field can be taken back, and consent
-- never: it would be a way to raise it.
--
-- Not definer: it writes a table that its caller names, with the caller's own
-- privileges and nobody else's.
create function public.undo_sync_writes(
  -- The run whose changes are taken back; the log names it.
  p_run uuid,
  -- Side A and its primary key.
  p_schema text,
  p_table text,
  p_id text,
  -- A JSON text, since not every Data API hands a JSON argument on as it came.
  -- [{ n, crosswalkId, aId, bId, field, path, seen, value, before, after }]: path is
  -- a column, or name.column to reach through the foreign key name_id; seen and
  -- value are as the column has them in JSON, before and after as the log has them.
  p_writes text,
  -- False tells what would become of each write, and writes nothing.
  p_apply boolean
)
-- done; ready: it would be done. moved: the cell holds another value. gone: there is
-- no such row. shared: others refer to the row as well.
returns table (n integer, outcome text)
language plpgsql
set search_path = ''
as $$
declare
  v_table constant regclass := format('%I.%I', p_schema, p_table)::regclass;
  v_writes constant jsonb := p_writes::jsonb;
  v_pair text;
  v_path text;
  v_column text;
  v_foreign_key text;
  v_referenced regclass;
  v_key text;
  v_some jsonb;
  v_outcomes jsonb := '[]';
begin
  -- A row in somebody's open transaction is not waited for for long.
  perform set_config('lock_timeout', '3s', true);

  select r.pair into v_pair from public.sync_runs r where r.id = p_run;
  if not found then
    raise exception 'Cannot undo: there is no run of this id' using errcode = 'PT404';
  end if;

  if exists (
    select 1
    from jsonb_to_recordset(v_writes) as w ("crosswalkId" bigint, field text)
    where not exists (
      select 1 from public.sync_log l
      where l.crosswalk_id = w."crosswalkId" and l.run_id = p_run and l.field = w.field
        and l.action = 'update' and l.applied
        and l.rule not in ('consent_lowered', 'local_deleted', 'undo'))
  ) then
    raise exception 'Cannot undo: a write is no change of this run that can be taken back'
      using errcode = '22023';
  end if;

  for v_path in
    select distinct w.path from jsonb_to_recordset(v_writes) as w (path text) order by 1
  loop
    if position('.' in v_path) = 0 then
      execute format(
        'with wanted as materialized (
           select w.* from jsonb_to_recordset($1)
             as w (n integer, "aId" uuid, path text, seen jsonb, value jsonb)
           where w.path = $2
         ),
         held as materialized (
           select t.%2$I as id, to_jsonb(t.%3$I) as present
           from %1$s t where t.%2$I in (select w."aId" from wanted w)
           order by t.%2$I for update
         ),
         written as (
           update %1$s t
           set %3$I = (jsonb_populate_record(null::%1$s, jsonb_build_object(%3$L, w.value))).%3$I
           from wanted w join held on held.id = w."aId"
           where $3 and t.%2$I = held.id and held.present is not distinct from w.seen
         )
         select jsonb_agg(jsonb_build_array(w.n, case
           when held.id is null then ''gone''
           when held.present is distinct from w.seen then ''moved''
           when $3 then ''done'' else ''ready'' end))
         from wanted w left join held on held.id = w."aId"',
        v_table, p_id, v_path)
      into v_some using v_writes, v_path, p_apply;
    else
      v_column := split_part(v_path, '.', 2);
      v_foreign_key := split_part(v_path, '.', 1) || '_id';
      select c.confrelid::regclass, k.attname into v_referenced, v_key
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
      join pg_catalog.pg_attribute k on k.attrelid = c.confrelid and k.attnum = c.confkey[1]
      where c.conrelid = v_table and c.contype = 'f' and cardinality(c.conkey) = 1
        and a.attname = v_foreign_key
        -- A key to a partitioned table has a copy for each partition.
        and not exists (
          select 1 from pg_catalog.pg_constraint p
          where p.oid = c.conparentid and p.conrelid = c.conrelid);
      if not found then
        raise exception 'Cannot undo: % has no foreign key %', v_table, v_foreign_key
          using errcode = '22023';
      end if;
      execute format(
        'with wanted as materialized (
           select w.* from jsonb_to_recordset($1)
             as w (n integer, "aId" uuid, path text, seen jsonb, value jsonb)
           where w.path = $2
         ),
         held as materialized (
           select t.%2$I as id, r.%6$I as key, to_jsonb(r.%3$I) as present,
             (select count(*) from %1$s o where o.%4$I = t.%4$I) as sharers
           from %1$s t join %5$s r on r.%6$I = t.%4$I
           where t.%2$I in (select w."aId" from wanted w)
           order by r.%6$I for update of r
         ),
         written as (
           update %5$s r
           set %3$I = (jsonb_populate_record(null::%5$s, jsonb_build_object(%3$L, w.value))).%3$I
           from wanted w join held on held.id = w."aId"
           where $3 and r.%6$I = held.key and held.sharers = 1
             and held.present is not distinct from w.seen
         )
         select jsonb_agg(jsonb_build_array(w.n, case
           when held.id is null then ''gone''
           when held.sharers > 1 then ''shared''
           when held.present is distinct from w.seen then ''moved''
           when $3 then ''done'' else ''ready'' end))
         from wanted w left join held on held.id = w."aId"',
        v_table, p_id, v_column, v_foreign_key, v_referenced, v_key)
      into v_some using v_writes, v_path, p_apply;
    end if;
    v_outcomes := v_outcomes || v_some;
  end loop;

  insert into public.sync_log
    (run_id, pair, crosswalk_id, a_id, b_id, side, action, field, before, after, rule, applied)
  select p_run, v_pair, w."crosswalkId", w."aId", w."bId", 'a', 'update', w.field,
    w.before, w.after, 'undo', true
  from jsonb_to_recordset(v_writes) as w (
    n integer, "crosswalkId" bigint, "aId" uuid, "bId" text, field text, before jsonb, after jsonb)
  join jsonb_array_elements(v_outcomes) o on (o ->> 0)::integer = w.n and o ->> 1 = 'done'
  order by w.n;

  return query
  select (o ->> 0)::integer, o ->> 1 from jsonb_array_elements(v_outcomes) o order by 1;
end;
$$;

revoke all on function public.undo_sync_writes(uuid, text, text, text, text, boolean)
from public, anon, authenticated, service_role;
grant execute on function public.undo_sync_writes(uuid, text, text, text, text, boolean) to service_role;
