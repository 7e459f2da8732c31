-- What a person decides about a conflict, and the status of the runs that write.

-- Functions that do what their caller may not. They are kept out of public, so
-- that no API serves them: a security definer function is reached only through
-- the function in public that names its arguments.
create schema sync_private;
revoke all on schema sync_private from public, anon, authenticated, service_role;
grant usage on schema sync_private to authenticated, service_role;

-- Who decides: the service, or the operator whose access token came with the call.
-- Inside a security definer function current_user is its owner; the setting role
-- stays what the API set it to, and is 'none' on a connection that set nothing.
create function sync_private.decider(p_what text) returns text
language plpgsql
stable
set search_path = ''
as $$
declare
  v_role text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  v_user text := auth.jwt() ->> 'sub';
begin
  -- By the privilege and not by the role's name: a role of the app's own that
  -- only inherits from authenticated must not pass for the service.
  if has_table_privilege(v_role, 'public.sync_conflicts', 'update') then
    return 'service';
  end if;
  if public.sync_role() is distinct from 'operator' then
    raise exception 'Cannot %: this takes an access token whose app_metadata.sync_role is operator', p_what
      using errcode = '42501';
  end if;
  if v_user is null then
    raise exception 'Cannot %: the access token names no user', p_what
      using errcode = '42501';
  end if;
  return 'user:' || v_user;
end;
$$;

-- Without the values: who reads the log sees that a decision was made, and the run
-- that carries it out logs what it changed.
create function sync_private.log_decision(p_id bigint, p_action text) returns void
language sql
set search_path = ''
as $$
  insert into public.sync_log
    (pair, crosswalk_id, a_id, b_id, side, action, field, rule, applied)
  select c.pair, c.crosswalk_id, w.a_id, w.b_id,
    case c.choice when 'local' then 'b' else 'a' end,
    p_action, c.field, 'decision', false
  from public.sync_conflicts c
  left join public.integration_crosswalk w on w.id = c.crosswalk_id
  where c.id = p_id
$$;

-- The value is stored as it was given, but for a number, which becomes its digits:
-- a double would lose some of them, and canonical numbers are text. Whether it can
-- be read as the field's type is for the run to say; what is refused here no field
-- could take. An empty text and an empty list blank the field. JSON null counts as
-- no value, because through the API it cannot be told from one.
--
-- Nothing is said of consent: the planner lowers it or keeps it, and no conflict
-- is ever opened on it.
create function sync_private.resolve_conflict(p_id bigint, p_choice text, p_value jsonb)
returns jsonb
language plpgsql
-- So that operators need no privilege to write: with one they could write any
-- row of sync_conflicts and sync_log, past the checks below.
security definer
set search_path = ''
as $$
declare
  c_longest constant integer := 10000;
  v_what text := format('resolve conflict %s', p_id);
  v_by text := sync_private.decider(v_what);
  v_value jsonb := nullif(p_value, 'null');
  v_type text := jsonb_typeof(v_value);
  v_status text;
  v_types text[];
begin
  if p_choice is null or p_choice not in ('local', 'remote', 'value') then
    raise exception 'Cannot %: the choice must be local, remote or value', v_what
      using errcode = '22023';
  end if;
  if p_choice = 'value' and v_value is null then
    raise exception 'Cannot %: the choice value takes a value, and there is none', v_what
      using errcode = '22023';
  end if;
  if p_choice <> 'value' and v_value is not null then
    raise exception 'Cannot %: the choice % takes no value, and there is one', v_what, p_choice
      using errcode = '22023';
  end if;
  if length(v_value #>> '{}') > c_longest then
    raise exception 'Cannot %: the value has % characters, and % is the most',
      v_what, length(v_value #>> '{}'), c_longest
      using errcode = '22023';
  end if;

  -- Of two operators at once the second waits here, and then sees the decision of the first.
  select c.status, array[jsonb_typeof(c.a), jsonb_typeof(c.b)]
  into v_status, v_types
  from public.sync_conflicts c
  where c.id = p_id
  for update;
  if not found then
    raise exception 'Cannot %: there is no such conflict', v_what
      using errcode = 'PT404';
  end if;
  if v_status <> 'open' then
    raise exception 'Cannot %: it is not open, it is %', v_what, v_status
      using errcode = 'PT409';
  end if;

  if v_type is not null then
    if 'array' = any (v_types) then
      if v_type <> 'array' or jsonb_path_exists(v_value, 'strict $[*] ? (@.type() != "string")') then
        raise exception 'Cannot %: the value must be a list of texts, as the sides are', v_what
          using errcode = '22023';
      end if;
    elsif 'boolean' = any (v_types) then
      if v_type <> 'boolean' and v_value <> '""' then
        raise exception 'Cannot %: the value must be true or false, as the sides are, not a JSON %',
          v_what, v_type
          using errcode = '22023';
      end if;
    elsif v_type not in ('string', 'number', 'boolean') then
      raise exception 'Cannot %: the value must be text, a number or a boolean, not a JSON %',
        v_what, v_type
        using errcode = '22023';
    end if;
    if v_type = 'number' then
      v_value := to_jsonb(v_value #>> '{}');
    end if;
  end if;

  update public.sync_conflicts
  set status = 'resolved', choice = p_choice, resolved_value = v_value,
    resolved_by = v_by, resolved_at = now(), applied_at = null
  where id = p_id;
  perform sync_private.log_decision(p_id, 'resolve');
  return jsonb_build_object('id', p_id, 'status', 'resolved');
end;
$$;

create function sync_private.reopen_conflict(p_id bigint)
returns jsonb
language plpgsql
-- As above.
security definer
set search_path = ''
as $$
declare
  v_what text := format('reopen conflict %s', p_id);
  v_by text := sync_private.decider(v_what);
  v_status text;
  v_applied_at timestamptz;
begin
  select c.status, c.applied_at
  into v_status, v_applied_at
  from public.sync_conflicts c
  where c.id = p_id
  for update;
  if not found then
    raise exception 'Cannot %: there is no such conflict', v_what
      using errcode = 'PT404';
  end if;
  if v_status <> 'resolved' then
    raise exception 'Cannot %: it is not resolved, it is %', v_what, v_status
      using errcode = 'PT409';
  end if;
  if v_applied_at is not null then
    raise exception 'Cannot %: its decision has been carried out', v_what
      using errcode = 'PT409';
  end if;

  perform sync_private.log_decision(p_id, 'reopen');
  begin
    update public.sync_conflicts
    set status = 'open', choice = null, resolved_value = null, resolved_by = null, resolved_at = null
    where id = p_id;
  exception when unique_violation then
    raise exception 'Cannot %: another conflict is open for the same record and field', v_what
      using errcode = 'PT409';
  end;
  return jsonb_build_object('id', p_id, 'status', 'open');
end;
$$;

-- Decides an open conflict: local, remote, or a value of the operator's own. A
-- later run carries the decision out and sets applied_at. The answer: { id, status }.
-- Refused with 42501 (HTTP 403), 22023 (400), PT404 (404) and PT409 (409); the
-- PT codes are the Data API's way to choose the status of the answer.
create function public.resolve_sync_conflict(id bigint, choice text, value jsonb default null)
returns jsonb
language sql
set search_path = ''
as $$
  select sync_private.resolve_conflict(id, choice, value)
$$;

-- Takes a decision back that no run has carried out.
create function public.reopen_sync_conflict(id bigint)
returns jsonb
language sql
set search_path = ''
as $$
  select sync_private.reopen_conflict(id)
$$;

revoke all on function
  public.resolve_sync_conflict(bigint, text, jsonb), public.reopen_sync_conflict(bigint),
  sync_private.resolve_conflict(bigint, text, jsonb), sync_private.reopen_conflict(bigint),
  sync_private.decider(text), sync_private.log_decision(bigint, text)
from public, anon, authenticated, service_role;
grant execute on function
  public.resolve_sync_conflict(bigint, text, jsonb), public.reopen_sync_conflict(bigint),
  sync_private.resolve_conflict(bigint, text, jsonb), sync_private.reopen_conflict(bigint)
to authenticated, service_role;

-- Status --------------------------------------------------------------------

-- As for the backfill: computed from the run's own row, in the transaction that
-- changed it. The run's row is locked first, then the status, which every run
-- writes: a transaction of several statements changes its run last, or two of
-- them wait for each other's records.
create function public.sync_publish_run_status() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_processed bigint := coalesce((new.counters ->> 'processed')::bigint, 0);
  -- What this change added. Of a run that is inserted there is no old row, and a
  -- run that enumerates again begins at 0: what it did before was done all the same.
  v_more_processed bigint := greatest(0, v_processed
    - coalesce((old.counters ->> 'processed')::bigint, 0));
  v_more_updates bigint := greatest(0, coalesce((new.counters ->> 'updates')::bigint, 0)
    - coalesce((old.counters ->> 'updates')::bigint, 0));
  v_more_conflicts bigint := greatest(0, coalesce((new.counters ->> 'conflicts')::bigint, 0)
    - coalesce((old.counters ->> 'conflicts')::bigint, 0));
  v_full boolean := new.function = 'enterprise-sync';
  v_last boolean := v_more_processed > 0 or new.ended_at is not null;
  v_statistics boolean := v_more_processed + v_more_updates + v_more_conflicts > 0;
begin
  if not (v_full or v_last or v_statistics) then
    return null;
  end if;
  update public.sync_state s
  set value = s.value
    || case when v_full then jsonb_build_object('fullSync', jsonb_build_object(
      'status', case
        when new.status <> 'waiting' then new.status
        when new.error is not null then 'failed'
        else 'running'
      end,
      'lastCompletedAt', case
        when new.status = 'completed' then to_jsonb(new.ended_at)
        else s.value #> '{fullSync,lastCompletedAt}'
      end,
      'totalProcessed', v_processed,
      'totalUpdated', coalesce((new.counters ->> 'updated')::bigint, 0)
    )) else '{}' end
    || case when v_last then jsonb_build_object('lastSync', jsonb_build_object(
      'timestamp', now(),
      'recordsProcessed', v_processed
    )) else '{}' end
    || case when v_statistics then jsonb_build_object('statistics', jsonb_build_object(
      'recordsProcessed',
      coalesce((s.value #>> '{statistics,recordsProcessed}')::bigint, 0) + v_more_processed,
      'updatesApplied',
      coalesce((s.value #>> '{statistics,updatesApplied}')::bigint, 0) + v_more_updates,
      'conflicts',
      coalesce((s.value #>> '{statistics,conflicts}')::bigint, 0) + v_more_conflicts,
      'lastUpdated', now()
    )) else '{}' end
  where s.key = 'sync_status';
  return null;
end;
$$;

revoke all on function public.sync_publish_run_status() from public, anon, authenticated, service_role;

create trigger sync_runs_publish_new_run_status
  after insert on public.sync_runs
  for each row when (
    new.function in ('enterprise-sync', 'smart-sync') and not new.params @> '{"dryRun": true}'
  )
  execute function public.sync_publish_run_status();

-- Not for a sign of life, which changes nothing that is shown, nor for what is
-- done to a run that has ended: a newer one may be what is shown.
create trigger sync_runs_publish_run_status
  after update on public.sync_runs
  for each row when (
    new.function in ('enterprise-sync', 'smart-sync') and not new.params @> '{"dryRun": true}'
    and old.ended_at is null
    and (old.status, old.counters, old.error) is distinct from (new.status, new.counters, new.error)
  )
  execute function public.sync_publish_run_status();
