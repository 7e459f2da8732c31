-- Schedules: pg_cron calls the functions through pg_net, with what Vault keeps.
-- Where one of the three is missing nothing is scheduled, and the rest works.

-- How long what has been is kept, in days; see sync_private.prune().
insert into public.sync_state (key, value) values
  ('retention', '{"logDays": 90, "runDays": 30, "cronDays": 7}')
on conflict (key) do nothing;

-- Calls ---------------------------------------------------------------------

create function sync_private.missing_extensions() returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(array_agg(e.name), '{}')
  from (values
    ('pg_cron', 'cron.job'),
    ('pg_net', 'net.http_request_queue'),
    ('Vault', 'vault.decrypted_secrets')
  ) e (name, relation)
  where to_regclass(e.relation) is null
$$;

-- Null where there is no such secret, or no Vault.
create function sync_private.secret(p_name text) returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  if to_regclass('vault.decrypted_secrets') is null then
    return null;
  end if;
  return (
    select nullif(btrim(s.decrypted_secret), '') from vault.decrypted_secrets s where s.name = p_name
  );
end;
$$;

-- Hands a request to pg_net, which sends it once this transaction is committed.
-- What it answers is of no interest: each function writes down what it did.
create function sync_private.call(p_function text, p_body jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
  -- pg_net gives up listening after that, and the function works on; its own
  -- default is shorter than the start of a function may take.
  c_timeout_ms constant integer := 30000;
  v_url text := sync_private.secret('sync_project_url');
  v_key text := sync_private.secret('sync_cron_key');
  v_missing text[] := array_remove(array[
    case when v_url is null then 'sync_project_url' end,
    case when v_key is null then 'sync_cron_key' end
  ], null);
begin
  if cardinality(v_missing) > 0 then
    raise exception 'Cannot call %: Vault has no secret named %', p_function,
      array_to_string(v_missing, ' nor ')
      using errcode = '55000', hint = 'Create it with vault.create_secret(value, name)';
  end if;
  if v_url !~ '^https?://[^/]' then
    raise exception 'Cannot call %: the secret sync_project_url is not an address that begins with https://',
      p_function
      using errcode = '55000';
  end if;
  perform net.http_post(
    url := rtrim(v_url, '/') || '/functions/v1/' || p_function,
    body := p_body,
    headers := jsonb_build_object('Content-Type', 'application/json', 'apikey', v_key),
    timeout_milliseconds := c_timeout_ms
  );
end;
$$;

-- Wakes smart-sync for an edit: at once those who listen on this database, and the
-- function itself at most once a second.
--
-- Runs in the transaction of whoever edits side A, so it neither waits for anybody
-- nor lets anybody wait: the lock is only tried, and is one for each second, so
-- that a transaction that takes long holds up no later one. The second is
-- remembered in a sequence, because that is not undone, not locked and seen at
-- once. Who comes second in a second is found by the call that is on its way, or
-- by the next schedule.
create sequence sync_private.wake_clock as bigint minvalue 0 start 0;
revoke all on sequence sync_private.wake_clock from public, anon, authenticated, service_role;

create or replace function sync_private.wake() returns void
language plpgsql
set search_path = ''
as $$
declare
  v_second bigint := floor(extract(epoch from clock_timestamp()));
begin
  perform pg_notify('sync_wake', '');
  if to_regclass('net.http_request_queue') is null
    or current_setting('sync.woken', true) = 'on'
  then
    return;
  end if;
  begin
    if not pg_try_advisory_xact_lock(hashtextextended('sync_wake:' || v_second, 0))
      -- One from further ahead is of a clock that was set back since.
      or (select c.last_value from sync_private.wake_clock c) between v_second and v_second + 60
      or sync_private.secret('sync_project_url') is null
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

-- What is due ---------------------------------------------------------------

-- When the nightly run starts, in UTC.
create function sync_private.nightly_at() returns time
language sql
immutable
set search_path = ''
as $$
  select time '03:10'
$$;

-- The latest start that a moment has behind it.
create function sync_private.nightly_start(p_now timestamptz) returns timestamptz
language sql
stable
set search_path = ''
as $$
  select ((p_now at time zone 'UTC' - n.at)::date + n.at) at time zone 'UTC'
  from (select sync_private.nightly_at()::interval as at) n
$$;

-- Whether a run that should start at a time is to be called for: because it has
-- not been started since, or because the one that is under way stands still.
create function sync_private.run_due(
  p_function text,
  p_lane text,
  p_start timestamptz,
  p_now timestamptz
)
returns boolean
-- Not sql: planned without the function's name, it would read the runs of all.
language plpgsql
stable
set search_path = ''
as $$
declare
  v_unfinished record;
  v_last_start timestamptz;
begin
  select r.status, r.heartbeat_at, r.last_updated_at into v_unfinished
  from public.sync_runs r
  where r.function = p_function and r.lane = p_lane
    and r.status in ('running', 'waiting', 'paused')
  order by r.started_at limit 1;
  if found then
    return case v_unfinished.status
      -- Somebody who calls again and again, or the function itself, is left to it.
      when 'waiting' then v_unfinished.last_updated_at < p_now - interval '30 seconds'
      -- A worker that is silent for longer may be taken over; see STALE_MS.
      when 'running' then v_unfinished.heartbeat_at < p_now - interval '90 seconds'
      -- What a person paused, a schedule does not start.
      else false
    end;
  end if;
  select max(r.started_at) into v_last_start
  from public.sync_runs r
  where r.function = p_function and r.lane = p_lane;
  -- Where none has ever run, what was missed before the schedule was made is not
  -- made up for.
  return coalesce(v_last_start < p_start, p_now < p_start + interval '1 hour');
end;
$$;

-- The jobs' commands; each tells whether it called.

create function sync_private.call_smart() returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select 1 from public.sync_queue q where q.not_before <= now()) then
    return false;
  end if;
  perform sync_private.call('smart-sync', '{}');
  return true;
end;
$$;

create function sync_private.call_enterprise(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not sync_private.run_due('enterprise-sync', 'both', sync_private.nightly_start(p_now), p_now) then
    return false;
  end if;
  perform sync_private.call('enterprise-sync', '{"maxRecords": 100000}');
  return true;
end;
$$;

create function sync_private.call_backfill(p_now timestamptz default now()) returns boolean
language plpgsql
set search_path = ''
as $$
begin
  if not sync_private.run_due(
    'backfill-sync', '',
    (date_trunc('month', p_now at time zone 'UTC') + interval '2 hours 10 minutes') at time zone 'UTC',
    p_now
  ) then
    return false;
  end if;
  perform sync_private.call('backfill-sync', '{}');
  return true;
end;
$$;

-- Pruning -------------------------------------------------------------------

-- What is not a whole number of days from 1 to 9999 counts as not said.
create function sync_private.retention(p_name text, p_days integer) returns interval
language sql
stable
set search_path = ''
as $$
  select make_interval(days => coalesce(
    (
      select case when s.value ->> p_name ~ '^[1-9]\d{0,3}$' then (s.value ->> p_name)::integer end
      from public.sync_state s where s.key = 'retention'
    ),
    p_days
  ))
$$;

-- Ends what nobody works on any more and deletes what is old enough; the answer
-- counts both.
create function sync_private.prune(p_now timestamptz default now()) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- A first time with years behind it has to fit into the database's own limit of
  -- time for a statement; the rest goes on the next days.
  c_most_log constant integer := 500000;
  v_log_before timestamptz := p_now - sync_private.retention('logDays', 90);
  v_runs_before timestamptz := p_now - sync_private.retention('runDays', 30);
  v_cron_before timestamptz := p_now - sync_private.retention('cronDays', 7);
  v_lost integer;
  v_runs integer;
  v_conflicts integer;
  v_log integer;
  v_left integer := 0;
  v_cron integer := 0;
  v_count integer;
begin
  -- Each call of smart-sync is a run of its own, so nobody goes on with one that
  -- was cut off; its records come again by themselves. With a higher number than
  -- its worker's, should that wake up, it commits nothing.
  update public.sync_runs r
  set status = 'failed', stop_reason = 'error', errors = r.errors + 1,
    phase = 'Failed: its worker gave no sign for more than 10 minutes',
    error = coalesce(r.error, jsonb_build_object(
      'code', 'worker_lost',
      'message', 'Cannot tell how the run ended: its worker gave no sign for more than 10 minutes'
    )),
    fencing = nextval('public.sync_fencing'), lease_owner = null, pause_requested = false,
    ended_at = p_now, last_updated_at = p_now
  where r.function = 'smart-sync' and r.status in ('running', 'waiting')
    and r.heartbeat_at < p_now - interval '10 minutes';
  get diagnostics v_lost = row_count;

  -- A decision that has not been carried out is work that is left, whatever its age.
  delete from public.sync_conflicts c
  where c.status = 'superseded' and c.resolved_at < v_log_before
    or c.status = 'resolved' and c.applied_at < v_log_before;
  get diagnostics v_conflicts = row_count;

  delete from public.sync_log l
  where l.id in (
    select o.id from public.sync_log o
    where o.created_at < v_log_before
    order by o.created_at limit c_most_log
  );
  get diagnostics v_log = row_count;

  -- A run stays as long as the log tells what it changed. The newest of a kind
  -- stays however old it is, and the newest that completed: when there was one
  -- last is told from them.
  delete from public.sync_runs r
  where r.ended_at < v_runs_before
    and not exists (select 1 from public.sync_log l where l.run_id = r.id)
    and r.id <> all (array(
      select k.id
      from (
        select n.id, n.status,
          row_number() over (kind order by n.started_at desc) as place,
          row_number() over (kind order by n.status = 'completed' desc, n.started_at desc) as done_place
        from public.sync_runs n
        window kind as (partition by n.function, n.pair, n.params -> 'dryRun',
          -- Each call of smart-sync has a lane of its own.
          case when n.function <> 'smart-sync' then n.lane end)
      ) k
      where k.place = 1 or k.done_place = 1 and k.status = 'completed'
    ));
  get diagnostics v_runs = row_count;

  delete from public.sync_stage s
  where not exists (
    select 1 from public.sync_runs r where r.id = s.run_id and r.ended_at is null
  );
  get diagnostics v_count = row_count;
  v_left := v_left + v_count;
  delete from public.sync_seen s
  where not exists (
    select 1 from public.sync_runs r where r.id = s.run_id and r.ended_at is null
  );
  get diagnostics v_count = row_count;
  v_left := v_left + v_count;
  delete from public.sync_work w
  where not exists (
    select 1 from public.sync_runs r where r.id = w.run_id and r.ended_at is null
  );
  get diagnostics v_count = row_count;
  v_left := v_left + v_count;

  -- Of the jobs below alone: what the others did is for their owner to forget.
  if to_regclass('cron.job_run_details') is not null then
    delete from cron.job_run_details d
    using cron.job j
    where j.jobid = d.jobid and d.start_time < v_cron_before
      and j.jobname in ('sync-smart', 'sync-enterprise', 'sync-backfill', 'sync-prune');
    get diagnostics v_cron = row_count;
  end if;

  return jsonb_build_object(
    'lostRuns', v_lost, 'runs', v_runs, 'conflicts', v_conflicts, 'log', v_log,
    'leftOver', v_left, 'cronRuns', v_cron
  );
end;
$$;

-- Schedules -----------------------------------------------------------------

-- Makes the jobs, or brings them back to what they are here; says what it did. To
-- be called again, by the project's owner, once the extensions are there.
create function sync_private.install_schedules() returns text
language plpgsql
set search_path = ''
as $$
declare
  v_missing text[] := sync_private.missing_extensions();
  v_text text;
begin
  if cardinality(v_missing) > 0 then
    v_text := format(
      'Nothing was scheduled, because there is no %s: enable it, then call sync_private.install_schedules()',
      array_to_string(v_missing, ' and no ')
    );
    raise notice '%', v_text;
    return v_text;
  end if;
  -- A name that is there already is scheduled anew.
  perform cron.schedule('sync-smart', '* * * * *', 'select sync_private.call_smart()');
  -- Starts the nightly run, and goes on with it until it is done.
  perform cron.schedule('sync-enterprise', '*/5 * * * *', 'select sync_private.call_enterprise()');
  -- The first of the month at 02:10 UTC; the further times go on with what was cut off.
  perform cron.schedule('sync-backfill', '10-59/5 2-5 1 * *', 'select sync_private.call_backfill()');
  perform cron.schedule('sync-prune', '40 1 * * *', 'select sync_private.prune()');
  return 'Scheduled: sync-smart, sync-enterprise, sync-backfill, sync-prune';
end;
$$;

-- The numbers that a field of a schedule stands for; null if it is not understood.
create function sync_private.cron_field(p_field text, p_from integer, p_to integer)
returns integer[]
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_numbers integer[] := '{}';
  v_part text;
  v_match text[];
begin
  foreach v_part in array string_to_array(p_field, ',') loop
    v_match := regexp_match(v_part, '^(?:\*|(\d{1,2})-(\d{1,2}))(?:/([1-9]\d?))?$');
    if v_match is null then
      v_match := array[v_part, v_part, null];
      if v_part !~ '^\d{1,2}$' then
        return null;
      end if;
    end if;
    v_numbers := v_numbers || array(select generate_series(
      coalesce(v_match[1]::integer, p_from),
      coalesce(v_match[2]::integer, p_to),
      coalesce(v_match[3]::integer, 1)
    ));
  end loop;
  return v_numbers;
end;
$$;

-- The first time after a moment that a schedule names, as pg_cron reads it: five
-- fields of numbers, in UTC, or so many seconds. Null if it is not understood.
create function sync_private.next_time(p_schedule text, p_after timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
declare
  v_seconds text := substring(p_schedule from '^\s*([1-5]?\d)\s+seconds?\s*$');
  v_fields text[] := regexp_split_to_array(btrim(p_schedule), '\s+');
  v_after timestamp := p_after at time zone 'UTC';
  v_minutes integer[];
  v_hours integer[];
  v_days integer[];
  v_months integer[];
  v_weekdays integer[];
begin
  if v_seconds is not null then
    return p_after + make_interval(secs => v_seconds::integer);
  end if;
  if cardinality(v_fields) is distinct from 5 then
    return null;
  end if;
  v_minutes := sync_private.cron_field(v_fields[1], 0, 59);
  v_hours := sync_private.cron_field(v_fields[2], 0, 23);
  v_days := sync_private.cron_field(v_fields[3], 1, 31);
  v_months := sync_private.cron_field(v_fields[4], 1, 12);
  v_weekdays := sync_private.cron_field(v_fields[5], 0, 7);
  return (
    select min(day.at + make_interval(hours => h.n, mins => m.n)) at time zone 'UTC'
    from (
      -- Today's times may all be over; those of the day after next cannot be.
      select d.at
      from generate_series(date_trunc('day', v_after), v_after + interval '8 years', interval '1 day')
        as d (at)
      where extract(month from d.at) = any (v_months)
        -- Where both are named, either will do.
        and case when v_fields[3] like '*%' or v_fields[5] like '*%'
          then extract(day from d.at) = any (v_days)
            and (extract(dow from d.at) = any (v_weekdays) or extract(isodow from d.at) = any (v_weekdays))
          else extract(day from d.at) = any (v_days)
            or extract(dow from d.at) = any (v_weekdays) or extract(isodow from d.at) = any (v_weekdays)
        end
      order by d.at limit 2
    ) day,
      unnest(v_hours) h (n), unnest(v_minutes) m (n)
    where day.at + make_interval(hours => h.n, mins => m.n) > v_after
  );
end;
$$;

-- Health --------------------------------------------------------------------

-- Whether the caller may look: the service, or somebody with a role in the sync.
create function sync_private.may_look() returns boolean
language sql
stable
set search_path = ''
as $$
  select coalesce(public.sync_role() in ('operator', 'viewer'), false)
    -- Not current_user, which inside a security definer function is its owner.
    or has_table_privilege(
      coalesce(nullif(current_setting('role'), 'none'), session_user), 'public.sync_runs', 'update')
$$;

-- The jobs there should be, where there is pg_cron; of one that is missing or
-- switched off no schedule. Definer, because pg_cron shows a job to its owner only.
create function sync_private.schedules()
returns table (job text, schedule text, next_due timestamptz)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := now();
  v_start timestamptz;
  v_nightly_due boolean;
begin
  if to_regclass('cron.job') is null or not sync_private.may_look() then
    return;
  end if;
  v_start := sync_private.nightly_start(v_now);
  v_nightly_due := sync_private.run_due('enterprise-sync', 'both', v_start, v_now);
  return query
  select n.name, j.schedule, sync_private.next_time(j.schedule, case
    when n.name <> 'sync-enterprise' or v_nightly_due then v_now
    -- Its job looks more often than it calls.
    else v_start + interval '1 day' - interval '1 second'
  end)
  from unnest(array['sync-smart', 'sync-enterprise', 'sync-backfill']) n (name)
  left join lateral (
    select c.schedule from cron.job c where c.jobname = n.name and c.active limit 1
  ) j on true;
end;
$$;

-- Definer, because viewers may know how many there are and not what is in them.
create function sync_private.open_conflicts() returns bigint
language sql
stable
security definer
set search_path = ''
as $$
  select case when sync_private.may_look() then
    (select count(*) from public.sync_conflicts c where c.status = 'open')
  end
$$;

-- A time as dashboards have it; null if it is damaged.
create function sync_private.instant(p_text text) returns timestamptz
language plpgsql
stable
set search_path = ''
as $$
begin
  return p_text::timestamptz;
exception when data_exception then
  return null;
end;
$$;

create function sync_private.in_words(p_age interval) returns text
language sql
immutable
set search_path = ''
as $$
  select case
    when s.n < 120 then s.n || ' seconds'
    when s.n < 7200 then s.n / 60 || ' minutes'
    when s.n < 172800 then s.n / 3600 || ' hours'
    else s.n / 86400 || ' days'
  end
  from (select floor(extract(epoch from p_age))::bigint as n) s
$$;

-- The first and the last run of a function, among very many.
create index sync_runs_function_idx on public.sync_runs (function, started_at);

-- How each function does, worst first. severity: 3 stopped, 2 late, 1 a person
-- should look, 0 all right. What does not apply to a function is null there.
create view public.sync_health with (security_invoker = true) as
with subject (name, job, lane, late_after, what, place) as (
  values
    -- A night's run may take some of the day, a month has 31 days.
    ('enterprise-sync', 'sync-enterprise', 'both', interval '36 hours', 'nightly run', 1),
    ('smart-sync', 'sync-smart', null, null, null, 2),
    ('sync-webhook', null, null, null, null, 3),
    ('backfill-sync', 'sync-backfill', '', interval '40 days', 'monthly run', 4)
),
queue as (
  select
    count(*) as depth,
    now() - min(q.not_before) filter (where q.not_before <= now()) as due_age,
    count(*) filter (where q.reason like 'webhook:%') as hints,
    now() - min(q.not_before) filter (where q.not_before <= now() and q.reason like 'webhook:%')
      as hint_age
  from public.sync_queue q
),
circuit as (
  select k.name,
    case
      when k.kept is null and jsonb_typeof(k.value) = 'object' and not k.value ? 'lostAt' then 'closed'
      when k.kept ->> 'state' = 'closed' then 'closed'
      when k.kept ->> 'state' in ('open', 'half_open')
        and sync_private.instant(k.kept ->> 'nextProbeAt') > now()
      then k.kept ->> 'state'
      -- The next caller tries; so it is with a state that is damaged or lost.
      else 'half_open'
    end as state,
    coalesce(k.kept ->> 'reason', 'state_damaged') as reason
  from (
    select f.name, s.value, s.value -> f.name as kept
    from subject f join public.sync_state s on s.key = 'circuit_breaker'
    where f.name = 'smart-sync'
  ) k
),
quota as (
  select
    -- The count of an earlier day says nothing about this one.
    case
      when k.kept ->> 'used' !~ '^\d{1,10}$' then null
      when k.kept ->> 'day' = to_char(now() at time zone 'UTC', 'YYYY-MM-DD')
      then (k.kept ->> 'used')::bigint
      when k.kept is not null then 0
    end as used,
    case when k.kept ->> 'limit' ~ '^\d{1,10}$' then (k.kept ->> 'limit')::bigint end as most
  from (
    select s.value -> 'records' as kept from public.sync_state s where s.key = 'daily_quota'
  ) k
),
fact as (
  select f.*, first.*, success.*, latest.*, unfinished.*,
    j.job is not null as should_be_scheduled, j.schedule, j.next_due,
    case when f.name = 'enterprise-sync' then sync_private.open_conflicts() end as open_conflicts,
    case when f.name = 'enterprise-sync' then
      (select count(*) from public.sync_failures e where e.runs >= 3)
    end as dead_letters,
    case f.name when 'smart-sync' then q.depth when 'sync-webhook' then q.hints end as queue_depth,
    case f.name when 'smart-sync' then q.due_age when 'sync-webhook' then q.hint_age end as due_age,
    c.state as circuit, case when c.state <> 'closed' then c.reason end as circuit_reason,
    case when f.name = 'smart-sync' then k.used end as quota_used,
    case when f.name = 'smart-sync' then k.most end as quota_limit
  from subject f
  cross join queue q
  left join quota k on true
  left join circuit c on c.name = f.name
  left join sync_private.schedules() j on j.job = f.job
  left join lateral (
    select r.started_at as first_start
    from public.sync_runs r
    where r.function = f.name and (f.lane is null or r.lane = f.lane)
      and not r.params @> '{"dryRun": true}'
    order by r.started_at limit 1
  ) first on true
  left join lateral (
    select r.ended_at as success
    from public.sync_runs r
    where r.function = f.name and (f.lane is null or r.lane = f.lane)
      and not r.params @> '{"dryRun": true}' and r.status = 'completed'
    order by r.started_at desc limit 1
  ) success on true
  left join lateral (
    select r.status as last_status, r.errors as last_errors, r.error ->> 'code' as last_code
    from public.sync_runs r
    where r.function = f.name and (f.lane is null or r.lane = f.lane)
      and not r.params @> '{"dryRun": true}' and r.ended_at is not null
    order by r.started_at desc limit 1
  ) latest on true
  left join lateral (
    select r.status as unfinished_status, now() - r.heartbeat_at as heartbeat_age,
      r.error ->> 'code' as unfinished_code
    from public.sync_runs r
    where r.function = f.name and (f.lane is null or r.lane = f.lane)
      and not r.params @> '{"dryRun": true}' and r.status in ('running', 'waiting', 'paused')
    -- The one that has been silent for longest.
    order by r.heartbeat_at limit 1
  ) unfinished on true
)
select
  t.name as function,
  v.severity,
  v.verdict,
  t.success as last_success,
  date_trunc('second', now() - t.success) as last_success_age,
  t.next_due,
  t.unfinished_status,
  date_trunc('second', t.heartbeat_age) as heartbeat_age,
  t.open_conflicts,
  t.dead_letters,
  t.queue_depth,
  date_trunc('second', t.due_age) as oldest_due_age,
  t.circuit,
  t.circuit_reason,
  t.quota_used,
  t.quota_limit
from fact t
cross join lateral (
  select coalesce(max(w.severity), 0) as severity,
    coalesce(string_agg(
      case w.severity when 3 then 'stopped: ' when 2 then 'late: ' else 'attention: ' end || w.words,
      '; ' order by w.severity desc, w.place), 'ok') as verdict
  from (values
    (1, 3, t.circuit = 'open', 'circuit open after ' || t.circuit_reason),
    (2, 3, t.quota_used >= t.quota_limit, 'the quota of today is used up'),
    (3, 3, t.unfinished_status = 'paused', 'paused by a person'),
    -- A later call of smart-sync does not go on with an earlier one.
    (4, 3, t.unfinished_status = 'waiting' and t.name <> 'smart-sync',
      'waits after ' || t.unfinished_code),
    (5, case when t.name = 'smart-sync' then 1 else 3 end,
      t.unfinished_status is null and t.last_status = 'failed',
      'the last run failed with ' || t.last_code),
    (6, 2, t.unfinished_status = 'running' and t.heartbeat_age > interval '10 minutes',
      'the worker has given no sign for ' || sync_private.in_words(t.heartbeat_age)),
    (7, 2, t.unfinished_status = 'waiting' and t.unfinished_code is null
      and t.name <> 'smart-sync' and t.heartbeat_age > interval '30 minutes',
      'nobody has gone on with the run for ' || sync_private.in_words(t.heartbeat_age)),
    (8, 2, now() - t.success > t.late_after,
      'the ' || t.what || ' has not finished for ' || sync_private.in_words(now() - t.success)),
    (9, 2, t.success is null and now() - t.first_start > t.late_after,
      'the ' || t.what || ' has never finished'),
    (10, 2, t.name = 'smart-sync' and t.due_age > interval '10 minutes',
      'records have been due for ' || sync_private.in_words(t.due_age)),
    (11, 1, t.circuit = 'half_open', 'the next call tries whether all is well again after '
      || t.circuit_reason),
    (12, 1, t.open_conflicts > 0, case t.open_conflicts when 1 then '1 conflict waits'
      else t.open_conflicts || ' conflicts wait' end || ' for a person'),
    (13, 1, t.dead_letters > 0, case t.dead_letters when 1 then '1 record is'
      else t.dead_letters || ' records are' end || ' left alone after failing three times'),
    (14, 1, t.unfinished_status is null and t.last_status = 'failed' and t.last_code is null,
      case t.last_errors when 1 then '1 record' else t.last_errors || ' records' end
        || ' failed in the last run'),
    (15, 1, t.late_after is not null and t.first_start is null, 'it has never run'),
    (16, 1, t.should_be_scheduled and t.schedule is null, 'no schedule calls it')
  ) w (place, severity, applies, words)
  where w.applies and w.words is not null
) v
where sync_private.may_look()
order by v.severity desc, t.place;

-- Privileges ----------------------------------------------------------------

revoke all on public.sync_health from public, anon, authenticated, service_role;
grant select on public.sync_health to authenticated, service_role;

revoke all on function
  sync_private.missing_extensions(), sync_private.secret(text), sync_private.call(text, jsonb),
  sync_private.nightly_at(), sync_private.nightly_start(timestamptz),
  sync_private.run_due(text, text, timestamptz, timestamptz), sync_private.call_smart(),
  sync_private.call_enterprise(timestamptz), sync_private.call_backfill(timestamptz),
  sync_private.retention(text, integer), sync_private.prune(timestamptz),
  sync_private.install_schedules(), sync_private.cron_field(text, integer, integer),
  sync_private.next_time(text, timestamptz), sync_private.may_look(), sync_private.schedules(),
  sync_private.open_conflicts(), sync_private.instant(text), sync_private.in_words(interval)
from public, anon, authenticated, service_role;
-- What the view asks in its reader's name.
grant execute on function
  sync_private.may_look(), sync_private.schedules(), sync_private.open_conflicts(),
  sync_private.instant(text), sync_private.in_words(interval)
to authenticated, service_role;

select sync_private.install_schedules();
