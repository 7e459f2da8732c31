-- Changes come in by themselves: an edit of side A puts its record into the queue
-- in the edit's own transaction.

-- Raised whenever a record is put into the queue again: whoever took it out looks
-- whether something came in while the work was under way.
alter table public.sync_queue add column version bigint not null default 1;

-- Where the project can call out by itself, a later migration makes this do so, and
-- the queue need not wait for the next schedule. Called once a statement, in the
-- transaction of whoever edits side A: it must be quick, and must not fail.
create function sync_private.wake() returns void
language plpgsql
set search_path = ''
as $$
begin
  null;
end;
$$;

-- Puts records of side A into the queue. In one order for everybody, so that of
-- two statements with the same records one waits for the other instead of each
-- for the other.
create function sync_private.enqueue_local(p_pair text, p_ids text[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.sync_queue as q (pair, side, record_id, reason)
  select p_pair, 'a', x.id, 'edited'
  from (select distinct u.id from unnest(p_ids) u (id) where u.id is not null) x
  order by x.id
  on conflict (pair, side, record_id) do update
    set version = q.version + 1, reason = excluded.reason,
      not_before = least(q.not_before, excluded.not_before);
  if found then
    perform sync_private.wake();
  end if;
end;
$$;

-- A statement on a watched table. The sync's own writes are told by a setting of
-- its transaction: a mark on the row would be lost to, or hide, an edit that a
-- person makes in the same moment.
--
-- Definer, because whoever edits side A has no business in the queue.
create function sync_private.note_edit() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_pair constant text := tg_argv[0];
  v_column constant text := tg_argv[1];
  v_ids text[];
begin
  if current_setting('sync.writer', true) = 'on' then
    return null;
  end if;
  if tg_op = 'INSERT' then
    execute format('select array(select n.%I::text from new_rows n)', v_column) into v_ids;
  elsif tg_op = 'DELETE' then
    execute format('select array(select o.%I::text from old_rows o)', v_column) into v_ids;
  else
    -- Both, because an id may be edited too.
    execute format('select array(
      select n.%1$I::text from new_rows n union select o.%1$I::text from old_rows o)', v_column)
    into v_ids;
  end if;
  perform sync_private.enqueue_local(v_pair, v_ids);
  return null;
end;
$$;

-- A statement on a table that a watched table refers to: all who refer to it are
-- changed.
create function sync_private.note_reference_edit() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_pair constant text := tg_argv[0];
  v_table constant text := tg_argv[1];
  v_column constant text := tg_argv[2];
  v_reference constant text := tg_argv[3];
  v_key constant text := tg_argv[4];
  v_ids text[];
begin
  if current_setting('sync.writer', true) = 'on' then
    return null;
  end if;
  execute format(
    'select array(select t.%I::text from %s t where t.%I in (select n.%I from new_rows n))',
    v_column, v_table, v_reference, v_key)
  into v_ids;
  perform sync_private.enqueue_local(v_pair, v_ids);
  return null;
end;
$$;

-- Watches a table of side A. For tables of one's own: call it as the owner, from a
-- migration, with the pair's name, the table and its id column.
create function sync_private.watch(p_pair text, p_table regclass, p_column text) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format('create trigger sync_note_insert after insert on %s
    referencing new table as new_rows
    for each statement execute function sync_private.note_edit(%L, %L)', p_table, p_pair, p_column);
  execute format('create trigger sync_note_update after update on %s
    referencing old table as old_rows new table as new_rows
    for each statement execute function sync_private.note_edit(%L, %L)', p_table, p_pair, p_column);
  execute format('create trigger sync_note_delete after delete on %s
    referencing old table as old_rows
    for each statement execute function sync_private.note_edit(%L, %L)', p_table, p_pair, p_column);
end;
$$;

-- Watches a table that a watched one refers to by a foreign key. A row that goes
-- changes the rows that refer to it, which is noticed there.
create function sync_private.watch_reference(
  p_pair text, p_table regclass, p_column text, p_foreign_key text,
  p_referenced regclass, p_key text
) returns void
language plpgsql
set search_path = ''
as $$
begin
  execute format('create trigger sync_note_update after update on %s
    referencing new table as new_rows
    for each statement execute function sync_private.note_reference_edit(%L, %L, %L, %L, %L)',
    p_referenced, p_pair, p_table, p_column, p_foreign_key, p_key);
end;
$$;

revoke all on function
  sync_private.wake(), sync_private.enqueue_local(text, text[]), sync_private.note_edit(),
  sync_private.note_reference_edit(), sync_private.watch(text, regclass, text),
  sync_private.watch_reference(text, regclass, text, text, regclass, text)
from public, anon, authenticated, service_role;

-- The example tables; who has dropped them does the same for their own.
do $$
begin
  if to_regclass('public.clients') is null or to_regclass('public.partners') is null then
    return;
  end if;
  perform sync_private.watch('clients', 'public.clients', 'id');
  perform sync_private.watch_reference(
    'clients', 'public.clients', 'id', 'partner_id', 'public.partners', 'id');
  -- The look-up of people by address, in the form in which addresses are compared:
  -- without the spaces of any script around it, which people paste along.
  create index clients_key_idx on public.clients (lower(btrim(email,
    E' \t\n\x0B\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006'
    '\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff')));
end;
$$;
