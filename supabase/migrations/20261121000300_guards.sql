-- Guards that all workers of a project share: the circuit breaker and the daily
-- quota. Both live in sync_state, one row each, in a form that dashboards may
-- read: names as keys, times as ISO 8601 in UTC.
--
-- Every decision is one statement, and takes the row's lock only where it may write.
-- This clock alone decides; a worker's may be wrong by minutes.

-- Locks a row of sync_state until the statement is committed. The caller has to
-- read the row in a statement of its own afterwards, or it would decide on what
-- stood there before the wait.
create function public.sync_state_lock(p_key text, p_at timestamptz) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform 1 from public.sync_state s where s.key = p_key for update;
  if not found then
    insert into public.sync_state (key, value) values (p_key, 'null') on conflict (key) do nothing;
    perform 1 from public.sync_state s where s.key = p_key for update;
  end if;
  -- A row that is gone or damaged held something nobody remembers: what is not in
  -- it from now on is not new, it is lost.
  update public.sync_state s
  set value = jsonb_build_object(
    'lostAt', to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  )
  where s.key = p_key and jsonb_typeof(s.value) <> 'object';
end;
$$;

revoke all on function public.sync_state_lock(text, timestamptz) from public, anon, authenticated;
grant execute on function public.sync_state_lock(text, timestamptz) to service_role;

-- Circuit breaker -----------------------------------------------------------
--
-- The state of a subject, in sync_state under circuit_breaker -> subject:
--   state        closed: everybody may call. open: nobody. half_open: one caller
--                tries, which is called the probe
--   reason       the code of the last failure
--   failures     how many there were in the window when this was written
--   failedAt     when they were
--   openedAt     since when it has not been closed
--   nextProbeAt  from when on the next caller becomes the probe: while open, the
--                end of the cool-down; while half open, the end of the probe's lease
--   cooldownMs   the present cool-down
--   probe        who the probe is; the report of an earlier one changes nothing
-- A subject that has never failed is not there and is closed.
--
-- A damaged state, a lost one, or one from the future (a clock set back leaves
-- it) counts as half open and due, with the reason state_damaged: the next caller
-- is the probe, the others wait for it. To take it for closed would let
-- everybody call what may be down, and nobody would know; to take it for open
-- would stop the sync over a broken note. So it costs one call and heals itself.

-- How a subject stands at this moment.
create function public.sync_breaker_state(
  p_subject text,
  -- How long a failure counts.
  p_window_ms integer,
  -- The longest time until the next probe, of the two reasons there are to wait.
  p_max_cooldown_ms integer,
  p_lease_ms integer,
  -- For tests, ms since 1970; otherwise the clock of the database.
  p_now bigint default null
)
returns table (
  asked_at timestamptz,
  state text,
  reason text,
  failed_at timestamptz[],
  opened_at timestamptz,
  next_probe_at timestamptz,
  cooldown_ms integer,
  probe uuid
)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_all jsonb;
  v_subject jsonb;
  v_window interval := p_window_ms * interval '1 ms';
  v_sound boolean;
begin
  if p_subject is null or p_subject = 'lostAt'
    or least(p_window_ms, p_max_cooldown_ms, p_lease_ms) < 1
  then
    raise exception 'Cannot guard ''%'': window, cool-down and lease must be positive', p_subject
      using errcode = '22023';
  end if;
  asked_at := coalesce(to_timestamp(p_now / 1000.0), date_trunc('milliseconds', clock_timestamp()));
  select s.value into v_all from public.sync_state s where s.key = 'circuit_breaker';
  v_subject := v_all -> p_subject;
  if v_subject is null and jsonb_typeof(v_all) = 'object' and not v_all ? 'lostAt' then
    state := 'closed';
    failed_at := '{}';
    cooldown_ms := 0;
    return next;
    return;
  end if;

  begin
    state := v_subject ->> 'state';
    reason := v_subject ->> 'reason';
    failed_at := array(
      select f.at
      from (
        select e::timestamptz as at from jsonb_array_elements_text(v_subject -> 'failedAt') e
      ) f
      where f.at > asked_at - v_window and f.at <= asked_at + v_window
      order by f.at
    );
    opened_at := (v_subject ->> 'openedAt')::timestamptz;
    next_probe_at := (v_subject ->> 'nextProbeAt')::timestamptz;
    cooldown_ms := (v_subject ->> 'cooldownMs')::integer;
    probe := (v_subject ->> 'probe')::uuid;
    v_sound := jsonb_typeof(v_subject) = 'object'
      and jsonb_typeof(v_subject -> 'failedAt') = 'array'
      and cooldown_ms >= 0
      and (state = 'closed' or (
        state in ('open', 'half_open')
        and next_probe_at <= asked_at + greatest(p_max_cooldown_ms, p_lease_ms) * interval '1 ms'
      ));
  exception when data_exception then
    v_sound := false;
  end;

  if v_sound is not true then
    state := 'half_open';
    reason := 'state_damaged';
    failed_at := '{}';
    opened_at := null;
    next_probe_at := asked_at;
    cooldown_ms := 0;
    probe := null;
  elsif state = 'closed' then
    reason := case when cardinality(failed_at) > 0 then reason end;
  else
    reason := coalesce(reason, 'unknown');
    state := case when next_probe_at <= asked_at then 'half_open' else state end;
  end if;
  return next;
end;
$$;

revoke all on function public.sync_breaker_state(text, integer, integer, integer, bigint)
  from public, anon, authenticated;
grant execute on function public.sync_breaker_state(text, integer, integer, integer, bigint)
  to service_role;

-- Writes a subject down. For the two functions below, which hold the row's lock.
create function public.sync_breaker_write(
  p_subject text,
  p_state text,
  p_reason text,
  p_failed_at timestamptz[],
  p_opened_at timestamptz,
  p_next_probe_at timestamptz,
  p_cooldown_ms integer,
  p_probe uuid
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  c_iso constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
  update public.sync_state s
  set value = s.value || jsonb_build_object(p_subject, jsonb_build_object(
    'state', p_state,
    'reason', p_reason,
    'failures', cardinality(p_failed_at),
    'failedAt', array(select to_char(f at time zone 'UTC', c_iso) from unnest(p_failed_at) f),
    'openedAt', to_char(p_opened_at at time zone 'UTC', c_iso),
    'nextProbeAt', to_char(p_next_probe_at at time zone 'UTC', c_iso),
    'cooldownMs', p_cooldown_ms,
    'probe', p_probe
  ))
  where s.key = 'circuit_breaker';
end;
$$;

revoke all on function public.sync_breaker_write(
  text, text, text, timestamptz[], timestamptz, timestamptz, integer, uuid
) from public, anon, authenticated;
grant execute on function public.sync_breaker_write(
  text, text, text, timestamptz[], timestamptz, timestamptz, integer, uuid
) to service_role;

-- Asks for leave to call a subject.
create function public.sync_breaker_enter(
  p_subject text,
  p_window_ms integer,
  p_max_cooldown_ms integer,
  -- How long a probe may take before somebody else becomes it.
  p_lease_ms integer,
  p_now bigint default null
)
returns table (
  -- allowed, probe or open
  decision text,
  -- To be handed to the report.
  probe uuid,
  -- If open: when to ask again, ms from now.
  retry_after_ms integer,
  -- If not allowed: the code of the last failure.
  reason text
)
language plpgsql
set search_path = ''
as $$
declare
  v record;
  v_locked boolean := false;
begin
  -- Where everybody may call, or nobody, a look is enough: no lock and no write
  -- stands in the way of callers. The place of the probe is given under the lock.
  loop
    select s.* into v
    from public.sync_breaker_state(p_subject, p_window_ms, p_max_cooldown_ms, p_lease_ms, p_now) s;
    if v.state = 'closed' then
      return query select 'allowed', null::uuid, 0, null::text;
      return;
    elsif v.next_probe_at > v.asked_at then
      return query select 'open', null::uuid,
        ceil(extract(epoch from v.next_probe_at - v.asked_at) * 1000)::integer, v.reason;
      return;
    end if;
    exit when v_locked;
    perform public.sync_state_lock('circuit_breaker', v.asked_at);
    v_locked := true;
  end loop;

  probe := gen_random_uuid();
  perform public.sync_breaker_write(
    p_subject, 'half_open', v.reason, v.failed_at, coalesce(v.opened_at, v.asked_at),
    v.asked_at + p_lease_ms * interval '1 ms', v.cooldown_ms, probe
  );
  return query select 'probe', probe, 0, v.reason;
end;
$$;

revoke all on function public.sync_breaker_enter(text, integer, integer, integer, bigint)
  from public, anon, authenticated;
grant execute on function public.sync_breaker_enter(text, integer, integer, integer, bigint)
  to service_role;

-- Tells what came of a call.
create function public.sync_breaker_report(
  p_subject text,
  -- Null: the call told nothing about the subject; a probe gives its place back.
  p_ok boolean,
  -- If not ok: why.
  p_code text,
  -- Null: an ordinary call.
  p_probe uuid,
  -- Failures in the window that open it.
  p_threshold integer,
  p_window_ms integer,
  -- The first cool-down; doubled while probes fail.
  p_cooldown_ms integer,
  p_max_cooldown_ms integer,
  p_lease_ms integer,
  p_now bigint default null
)
returns table (
  -- How the subject stands now, and whether this report made it so.
  state text,
  changed boolean
)
language plpgsql
set search_path = ''
as $$
declare
  c_most_failures constant integer := 100;
  v record;
  v_failed timestamptz[];
  v_cooldown integer;
  -- What is shown to people is a code, whatever was handed in.
  v_code text := case when p_code ~ '^[A-Za-z0-9_.:-]{1,64}$' then p_code else 'unknown' end;
begin
  if least(p_threshold, p_cooldown_ms) < 1 or p_threshold > c_most_failures then
    raise exception 'Cannot guard ''%'': the threshold must be from 1 to %, and the cool-down positive',
      p_subject, c_most_failures
      using errcode = '22023';
  end if;
  perform public.sync_state_lock('circuit_breaker',
    coalesce(to_timestamp(p_now / 1000.0), clock_timestamp()));
  select s.* into v
  from public.sync_breaker_state(p_subject, p_window_ms, p_max_cooldown_ms, p_lease_ms, p_now) s;
  v_failed := (v.failed_at || v.asked_at)[greatest(cardinality(v.failed_at) + 2 - c_most_failures, 1):];
  state := v.state;
  changed := false;

  if p_probe is not null then
    -- Somebody else has become the probe, or the place was decided already.
    if v.probe is distinct from p_probe or v.state <> 'half_open' then
      null;
    elsif p_ok then
      perform public.sync_breaker_write(p_subject, 'closed', null, '{}', null, null, 0, null);
      state := 'closed';
      changed := true;
    elsif p_ok is null then
      perform public.sync_breaker_write(
        p_subject, 'half_open', v.reason, v.failed_at, v.opened_at, v.asked_at, v.cooldown_ms, null
      );
    else
      v_cooldown := least(greatest(v.cooldown_ms * 2::bigint, p_cooldown_ms), p_max_cooldown_ms);
      perform public.sync_breaker_write(
        p_subject, 'open', v_code, v_failed, v.opened_at,
        v.asked_at + v_cooldown * interval '1 ms', v_cooldown, null
      );
      state := 'open';
      changed := true;
    end if;
  -- A call that began before the circuit opened says nothing new: only a probe
  -- decides about a circuit that is not closed.
  elsif not p_ok and v.state = 'closed' then
    if cardinality(v_failed) < p_threshold then
      perform public.sync_breaker_write(p_subject, 'closed', v_code, v_failed, null, null, 0, null);
    else
      v_cooldown := least(p_cooldown_ms, p_max_cooldown_ms);
      perform public.sync_breaker_write(
        p_subject, 'open', v_code, v_failed, v.asked_at,
        v.asked_at + v_cooldown * interval '1 ms', v_cooldown, null
      );
      state := 'open';
      changed := true;
    end if;
  end if;
  return next;
end;
$$;

revoke all on function public.sync_breaker_report(
  text, boolean, text, uuid, integer, integer, integer, integer, integer, bigint
) from public, anon, authenticated;
grant execute on function public.sync_breaker_report(
  text, boolean, text, uuid, integer, integer, integer, integer, integer, bigint
) to service_role;

-- Daily quota ---------------------------------------------------------------
--
-- The state of a quota, in sync_state under daily_quota -> name:
--   day           the day in UTC that the numbers are of
--   limit         how many a day, as the last caller said
--   used          how many were used
--   reserved      how many workers held when this was written
--   resetAt       when the next day begins
--   previous      { day, used } of the last day before
--   lostAt        when the count of this day was lost, if it was
--   reservations  id -> { day, count, until }
-- A reservation counts on the day it was made. Past its end it counts no more, but
-- is kept for an hour: a holder that was slow and not killed still gets its use
-- written down, even where that makes more than the limit.
--
-- A count that is damaged, lost or from the future starts over as if the day's
-- quota had been used evenly until now. To start at nothing would let through up
-- to twice the limit, to start at the limit would stop the sync until midnight.

-- How a quota stands at this moment.
create function public.sync_quota_state(
  p_name text,
  p_limit integer,
  -- For tests, ms since 1970; otherwise the clock of the database.
  p_now bigint default null
)
returns table (
  asked_at timestamptz,
  day date,
  used integer,
  reserved integer,
  reset_at timestamptz,
  previous jsonb,
  lost_at timestamptz,
  reservations jsonb
)
language plpgsql
stable
set search_path = ''
as $$
declare
  v_all jsonb;
  v_quota jsonb;
  v_today date;
  v_sound boolean;
begin
  if p_name is null or p_name = 'lostAt' or p_limit < 1 then
    raise exception 'Cannot count ''%'': the limit must be positive', p_name using errcode = '22023';
  end if;
  asked_at := coalesce(to_timestamp(p_now / 1000.0), date_trunc('milliseconds', clock_timestamp()));
  v_today := (asked_at at time zone 'UTC')::date;
  select s.value into v_all from public.sync_state s where s.key = 'daily_quota';
  v_quota := v_all -> p_name;

  begin
    if v_quota is null then
      day := v_today;
      used := 0;
      reservations := '{}';
      v_sound := jsonb_typeof(v_all) = 'object'
        and coalesce(((v_all ->> 'lostAt')::timestamptz at time zone 'UTC')::date < v_today, true);
    else
      day := (v_quota ->> 'day')::date;
      used := (v_quota ->> 'used')::integer;
      previous := v_quota -> 'previous';
      lost_at := (v_quota ->> 'lostAt')::timestamptz;
      reservations := v_quota -> 'reservations';
      -- A clock set back over midnight stands still: the count goes on with the later day.
      v_sound := jsonb_typeof(v_quota) = 'object'
        and jsonb_typeof(reservations) = 'object'
        and day <= v_today + 1
        and used >= 0
        and (jsonb_typeof(previous) = 'null'
          or ((previous ->> 'day')::date < day and (previous ->> 'used')::integer >= 0))
        and (select coalesce(bool_and(
            num_nulls((r.value ->> 'day')::date, (r.value ->> 'until')::timestamptz) = 0
              and coalesce((r.value ->> 'count')::integer > 0, false)
          ), true)
          from jsonb_each(reservations) r);
    end if;
  exception when data_exception then
    v_sound := false;
  end;

  if v_sound is not true then
    day := v_today;
    used := ceil(p_limit * extract(epoch from asked_at - v_today::timestamp at time zone 'UTC') / 86400);
    previous := 'null';
    lost_at := asked_at;
    reservations := '{}';
  elsif day < v_today then
    previous := jsonb_build_object('day', to_char(day, 'YYYY-MM-DD'), 'used', used);
    day := v_today;
    used := 0;
    lost_at := null;
  end if;

  select
    coalesce(jsonb_object_agg(r.key, r.value), '{}'),
    least(coalesce(sum((r.value ->> 'count')::integer) filter (
      where (r.value ->> 'day')::date = day and (r.value ->> 'until')::timestamptz > asked_at
    ), 0), 2147483647)
  into reservations, reserved
  from jsonb_each(reservations) r
  where (r.value ->> 'day')::date >= day - 1
    and (r.value ->> 'until')::timestamptz > asked_at - interval '1 hour';
  previous := coalesce(previous, 'null');
  reset_at := (day + 1)::timestamp at time zone 'UTC';
  return next;
end;
$$;

revoke all on function public.sync_quota_state(text, integer, bigint) from public, anon, authenticated;
grant execute on function public.sync_quota_state(text, integer, bigint) to service_role;

-- Writes a quota down. For the two functions below, which hold the row's lock.
create function public.sync_quota_write(
  p_name text,
  p_limit integer,
  p_day date,
  p_used integer,
  p_reserved integer,
  p_reset_at timestamptz,
  p_previous jsonb,
  p_lost_at timestamptz,
  p_reservations jsonb
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  c_iso constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
  update public.sync_state s
  set value = s.value || jsonb_build_object(p_name, jsonb_build_object(
    'day', to_char(p_day, 'YYYY-MM-DD'),
    'limit', p_limit,
    'used', p_used,
    'reserved', p_reserved,
    'resetAt', to_char(p_reset_at at time zone 'UTC', c_iso),
    'previous', p_previous,
    'lostAt', to_char(p_lost_at at time zone 'UTC', c_iso),
    'reservations', p_reservations
  ))
  where s.key = 'daily_quota';
end;
$$;

revoke all on function public.sync_quota_write(
  text, integer, date, integer, integer, timestamptz, jsonb, timestamptz, jsonb
) from public, anon, authenticated;
grant execute on function public.sync_quota_write(
  text, integer, date, integer, integer, timestamptz, jsonb, timestamptz, jsonb
) to service_role;

-- Reserves a part of the day's quota before the work.
create function public.sync_quota_reserve(
  p_name text,
  p_limit integer,
  p_want integer,
  -- All or nothing; otherwise as many as there are.
  p_all boolean,
  -- How long the holder may be silent before its reservation counts no more.
  p_lease_ms integer,
  p_now bigint default null
)
returns table (
  -- Null if nothing was granted.
  reservation uuid,
  granted integer,
  used integer,
  -- By all workers, with this one.
  reserved integer,
  reset_at timestamptz,
  -- Until the reset, ms from now.
  retry_after_ms integer
)
language plpgsql
set search_path = ''
as $$
declare
  c_iso constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
  v record;
  v_free bigint;
begin
  if least(p_want, p_lease_ms) < 1 then
    raise exception 'Cannot reserve of ''%'': want and lease must be positive', p_name
      using errcode = '22023';
  end if;
  perform public.sync_state_lock('daily_quota',
    coalesce(to_timestamp(p_now / 1000.0), clock_timestamp()));
  select s.* into v from public.sync_quota_state(p_name, p_limit, p_now) s;
  v_free := greatest(p_limit::bigint - v.used - v.reserved, 0);
  granted := case when p_all and v_free < p_want then 0 else least(v_free, p_want) end;
  used := v.used;
  reserved := v.reserved + granted;
  reset_at := v.reset_at;
  retry_after_ms := ceil(extract(epoch from v.reset_at - v.asked_at) * 1000);
  if granted > 0 then
    reservation := gen_random_uuid();
    v.reservations := v.reservations || jsonb_build_object(reservation, jsonb_build_object(
      'day', to_char(v.day, 'YYYY-MM-DD'),
      'count', granted,
      'until', to_char(
        (v.asked_at + p_lease_ms * interval '1 ms') at time zone 'UTC', c_iso
      )
    ));
  end if;
  -- Those who are turned away write nothing, except that a count was lost: the
  -- share of the day would otherwise grow with every look.
  if granted > 0 or v.lost_at = v.asked_at then
    perform public.sync_quota_write(
      p_name, p_limit, v.day, v.used, reserved, v.reset_at, v.previous, v.lost_at, v.reservations
    );
  end if;
  return next;
end;
$$;

revoke all on function public.sync_quota_reserve(text, integer, integer, boolean, integer, bigint)
  from public, anon, authenticated;
grant execute on function public.sync_quota_reserve(text, integer, integer, boolean, integer, bigint)
  to service_role;

-- Counts what was used of a reservation and returns the rest. A second time, it
-- changes nothing.
create function public.sync_quota_settle(
  p_name text,
  p_limit integer,
  p_reservation uuid,
  p_used integer,
  p_now bigint default null
)
-- Whether it was counted.
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v record;
  v_held jsonb;
begin
  if p_used < 0 then
    raise exception 'Cannot settle with ''%'': the number used must not be negative', p_name
      using errcode = '22023';
  end if;
  perform public.sync_state_lock('daily_quota',
    coalesce(to_timestamp(p_now / 1000.0), clock_timestamp()));
  select s.* into v from public.sync_quota_state(p_name, p_limit, p_now) s;
  v_held := v.reservations -> p_reservation::text;
  if v_held is null then
    return false;
  end if;
  if p_used > (v_held ->> 'count')::integer then
    raise exception 'Cannot settle with ''%'': more were used than the % that were reserved',
      p_name, v_held ->> 'count'
      using errcode = '22023';
  end if;

  if (v_held ->> 'day')::date = v.day then
    v.used := least(v.used::bigint + p_used, 2147483647);
    if (v_held ->> 'until')::timestamptz > v.asked_at then
      v.reserved := v.reserved - (v_held ->> 'count')::integer;
    end if;
  elsif v_held ->> 'day' = v.previous ->> 'day' then
    v.previous := jsonb_set(
      v.previous, '{used}', to_jsonb((v.previous ->> 'used')::bigint + p_used)
    );
  end if;
  perform public.sync_quota_write(
    p_name, p_limit, v.day, v.used, v.reserved, v.reset_at, v.previous, v.lost_at,
    v.reservations - p_reservation::text
  );
  return true;
end;
$$;

revoke all on function public.sync_quota_settle(text, integer, uuid, integer, bigint)
  from public, anon, authenticated;
grant execute on function public.sync_quota_settle(text, integer, uuid, integer, bigint)
  to service_role;
