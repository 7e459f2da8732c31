-- Whoever edits side A waits for nobody over the queue, and for nobody's commit.

-- The queue ---------------------------------------------------------------------

-- With the record as its primary key, an edit had to wait for another open
-- transaction that had put the same record in: of two that edit clients and their
-- partner in opposite order, each waited for the other, and one of them failed. Now
-- an edit raises the row it finds, if nobody holds it, and else adds one. So a
-- record has one row, and more only after edits of it that were open at one time;
-- a worker takes them together.
alter table public.sync_queue drop constraint sync_queue_pkey;
alter table public.sync_queue add column id bigint generated always as identity primary key;
create index sync_queue_record_idx on public.sync_queue (pair, side, record_id);
-- Hints about side B come in statements of their own, which may wait for each other.
create unique index sync_queue_remote_idx on public.sync_queue (pair, record_id) where side = 'b';

-- Puts records of side A into the queue; waits for nobody.
create or replace function sync_private.enqueue_local(p_pair text, p_ids text[]) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- A transaction that sees one moment only would fail over a row that was changed
  -- since; it raises the rows it made itself. Those are not older than it is.
  c_own_only constant boolean := current_setting('transaction_isolation') <> 'read committed';
  v_ids constant text[] := array(
    select distinct u.id from unnest(p_ids) u (id) where u.id is not null
  );
  v_rows bigint[];
  v_found text[];
begin
  if cardinality(v_ids) = 0 then
    return;
  end if;
  -- Looked up one by one: planned from statistics of before the queue was filled,
  -- a join would compare each with each.
  select coalesce(array_agg(found.id), '{}'), coalesce(array_agg(found.record_id), '{}')
  into v_rows, v_found
  from unnest(v_ids) wanted (id) cross join lateral (
    select q.id, q.record_id from public.sync_queue q
    where q.pair = p_pair and q.side = 'a' and q.record_id = wanted.id
      and (not c_own_only or age(q.xmin) <= 0)
    limit 1 for update skip locked
  ) found;
  if cardinality(v_rows) > 0 then
    update public.sync_queue q
    set version = q.version + 1, reason = 'edited', not_before = least(q.not_before, now())
    where q.id = any (v_rows);
  end if;
  if cardinality(v_found) = 0 then
    insert into public.sync_queue (pair, side, record_id, reason)
    select p_pair, 'a', u.id, 'edited' from unnest(v_ids) u (id);
  else
    insert into public.sync_queue (pair, side, record_id, reason)
    select p_pair, 'a', u.id, 'edited' from (
      select unnest(v_ids) except select unnest(v_found)
    ) u (id);
  end if;
  perform sync_private.wake();
end;
$$;

-- Waking --------------------------------------------------------------------------

-- Wakes smart-sync for an edit, at most once a second: by a request where there is
-- pg_net, and else those who listen on this database. Not both, and not for every
-- edit: a transaction with a notification holds a lock of the whole server while
-- it commits, and all others with one wait for it.
--
-- Runs in the transaction of whoever edits side A, so it neither waits for anybody
-- nor lets anybody wait: the lock is only tried, and is one for each second, so
-- that a transaction that takes long holds up no later one. The second is
-- remembered in a sequence, because that is not undone, not locked and seen at
-- once. Who comes second in a second is found by the call that is on its way, or
-- by the next schedule.
create or replace function sync_private.wake() returns void
language plpgsql
set search_path = ''
as $$
declare
  v_second constant bigint := floor(extract(epoch from clock_timestamp()));
begin
  if current_setting('sync.woken', true) = 'on'
    -- One from further ahead is of a clock that was set back since.
    or (select c.last_value from sync_private.wake_clock c) between v_second and v_second + 60
    or not pg_try_advisory_xact_lock(hashtextextended('sync_wake:' || v_second, 0))
    -- Once more: it may have been another one's until now.
    or (select c.last_value from sync_private.wake_clock c) between v_second and v_second + 60
  then
    return;
  end if;
  if to_regclass('net.http_request_queue') is null then
    perform setval('sync_private.wake_clock', v_second);
    perform pg_notify('sync_wake', '');
    perform set_config('sync.woken', 'on', true);
    return;
  end if;
  begin
    if sync_private.secret('sync_project_url') is null
      or sync_private.secret('sync_cron_key') is null
    then
      return;
    end if;
    perform setval('sync_private.wake_clock', v_second);
    perform sync_private.call('smart-sync', '{}');
    perform set_config('sync.woken', 'on', true);
  exception when others then
    -- The edit counts, and it is in the queue. Without the message, which may
    -- quote what it stumbled over.
    raise log 'Cannot wake smart-sync: %', sqlstate;
  end;
end;
$$;

-- Decisions -------------------------------------------------------------------------

-- Not every Data API hands a JSON argument on as it came: some send a list, true or
-- false as a text. Where the sides are lists or true and false no text could be
-- meant, so it is read as what it says.
alter function sync_private.resolve_conflict(bigint, text, jsonb) rename to decide_conflict;
revoke all on function sync_private.decide_conflict(bigint, text, jsonb)
from public, anon, authenticated, service_role;

create function sync_private.resolve_conflict(p_id bigint, p_choice text, p_value jsonb)
returns jsonb
language plpgsql
-- As the function it calls.
security definer
set search_path = ''
as $$
declare
  v_text constant text := case when jsonb_typeof(p_value) = 'string' then p_value #>> '{}' end;
  v_value jsonb := p_value;
  v_types text[];
begin
  if v_text <> '' then
    select array[jsonb_typeof(c.a), jsonb_typeof(c.b)] into v_types
    from public.sync_conflicts c where c.id = p_id;
    if 'array' = any (v_types) and v_text like '[%' or v_text in ('true', 'false')
      and 'boolean' = any (v_types)
    then
      begin
        v_value := v_text::jsonb;
      exception when data_exception then
        -- Refused as the text it is.
        null;
      end;
    end if;
  end if;
  return sync_private.decide_conflict(p_id, p_choice, v_value);
end;
$$;

revoke all on function sync_private.resolve_conflict(bigint, text, jsonb)
from public, anon, authenticated, service_role;
grant execute on function sync_private.resolve_conflict(bigint, text, jsonb)
to authenticated, service_role;
