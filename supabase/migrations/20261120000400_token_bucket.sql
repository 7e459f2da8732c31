-- Leave to send requests to a rate-limited remote, shared by every worker.
--
-- The state of a bucket, in sync_state under token_bucket_state -> bucket name:
--   now      the clock at the last call, ms since 1970 as all times here
--   grant    the id of the last grant
--   used     when each used token is free again; at most the budget of them
--   grants   id -> { by, at[] }: tokens in workers' hands, and from when each may be used
--   pause    nobody sends before
--   others   [count, until]: requests of somebody else in the remote's window
--   seen     when the latest request was sent that told of them
-- What is in none of these is free, so tokens can neither be made nor lost.
--
-- A used token is free again one window after its answer arrived, not after it
-- was sent. So for two requests i and j on one token
--   arrival(j) >= sent(j) >= answered(i) + window >= arrival(i) + window
-- and among `budget + 1` requests two share a token: whatever the latency, and
-- wherever the remote's window begins, it never holds more than the budget.
--
-- Workers send ages, never times, and get offsets: this clock alone decides, and
-- a worker's may be wrong by minutes. An age ends when the call was sent, before
-- this clock is read, which makes a token late by that, never early.
create function public.sync_take_tokens(
  p_bucket text,
  p_budget integer,
  p_window_ms integer,
  -- Tokens wanted; 0 to report only.
  p_want integer,
  -- Tokens to leave for more urgent work.
  p_reserve integer,
  -- Nothing is granted that could be used only later than this.
  p_max_wait_ms integer,
  -- How long a grant may be used without asking again.
  p_life_ms integer,
  -- Longest a request is under way until it arrives.
  p_flight_ms integer,
  -- [{ id, answered: [age of each answer], in_flight: requests without one }]: all
  -- else of that grant comes back.
  p_reports jsonb default '[]',
  -- The age of the latest request whose answer told the remaining budget, and that.
  p_sent_ms integer default null,
  p_remaining integer default null,
  -- How long the remote wants to be left alone, from now.
  p_retry_after_ms integer default null,
  -- For tests; otherwise the clock of the database.
  p_now bigint default null
)
returns table (
  grant_id bigint,
  -- Of each token granted: from when it may be used, ms from now. One that is not
  -- usable within the life is a place in the queue: ask again when it is due.
  offsets integer[],
  -- If none was granted: when to ask again, ms from now.
  wait_ms integer
)
language plpgsql
set search_path = ''
as $$
declare
  -- MailerLite documents a Retry-After of 119 s for a window of 60 s; a header
  -- gone wrong must not stop the sync for a day.
  c_longest_pause constant bigint := 180000;
  v_all jsonb;
  v_bucket jsonb;
  v_sound boolean;
  v_now bigint;
  v_used bigint[] := '{}';
  v_grants jsonb := '{}';
  v_last_grant bigint := 0;
  v_pause bigint := 0;
  v_seen bigint := 0;
  v_others bigint[] := '{0,0}';
  v_report record;
  v_at bigint[];
  v_free bigint;
  v_skip bigint;
  v_others_taken bigint;
  v_first bigint;
begin
  if p_bucket = 'lost_at' or least(p_budget, p_window_ms, p_life_ms, p_flight_ms) < 1
    or least(p_want, p_reserve, p_max_wait_ms) < 0
  then
    raise exception 'Cannot take tokens of ''%'': budget, window, life and flight must be positive, and no number negative', p_bucket
      using errcode = '22023';
  end if;

  select s.value into v_all from public.sync_state s where s.key = 'token_bucket_state' for update;
  if not found then
    insert into public.sync_state (key, value) values ('token_bucket_state', 'null')
      on conflict (key) do nothing;
    select s.value into v_all from public.sync_state s where s.key = 'token_bucket_state' for update;
  end if;
  -- Read under the lock: the wait for it may have been long.
  v_now := coalesce(p_now, floor(extract(epoch from clock_timestamp()) * 1000)::bigint);

  -- A bucket nobody has used is full. One whose state is lost counts as used up
  -- this very moment: a wait of one window, instead of a burst on top of
  -- requests nobody remembers. Lost is also a state from the future, which a
  -- clock set back by more than a window leaves; it would never come free.
  if jsonb_typeof(v_all) <> 'object' then
    v_all := jsonb_build_object('lost_at', v_now);
  end if;
  v_bucket := v_all -> p_bucket;
  if v_bucket is null then
    if v_all ? 'lost_at' then
      v_used := array_fill((v_all ->> 'lost_at')::bigint + p_window_ms, array[p_budget]);
    end if;
  else
    begin
      v_used := array(select e::bigint from jsonb_array_elements_text(v_bucket -> 'used') e);
      v_grants := v_bucket -> 'grants';
      v_last_grant := (v_bucket ->> 'grant')::bigint;
      v_pause := (v_bucket ->> 'pause')::bigint;
      v_seen := (v_bucket ->> 'seen')::bigint;
      v_others := array(select e::bigint from jsonb_array_elements_text(v_bucket -> 'others') e);
      v_sound := v_bucket ?& array['now', 'grant', 'used', 'grants', 'pause', 'seen', 'others']
        and (v_bucket ->> 'now')::bigint <= v_now + p_window_ms
        and cardinality(v_others) = 2
        and num_nulls(v_last_grant, v_pause, v_seen) = 0
        and array_position(v_used || v_others, null) is null
        and (select coalesce(bool_and(num_nulls((g.value ->> 'by')::bigint, a.at::bigint) = 0), true)
             from jsonb_each(v_grants) g
             left join lateral jsonb_array_elements_text(g.value -> 'at') a (at) on true);
    exception when data_exception then
      v_sound := false;
    end;
    if v_sound is true then
      -- A clock that goes back a little stands still until it has caught up.
      v_now := greatest(v_now, (v_bucket ->> 'now')::bigint);
    else
      v_used := array_fill(v_now + p_window_ms, array[p_budget]);
      v_grants := '{}';
      v_last_grant := 0;
      v_pause := 0;
      v_seen := 0;
      v_others := '{0,0}';
    end if;
  end if;

  -- What became of the worker's earlier grants. It uses tokens from the front, so
  -- those in flight are the first that are left, and the unsent are the last. An
  -- answer for a grant that is gone counts all the same. One ms more, because
  -- the clock was rounded down.
  for v_report in
    select r.id, coalesce(r.answered, '{}') as answered, greatest(r.in_flight, 0) as in_flight
    from jsonb_to_recordset(p_reports) as r (id bigint, answered integer[], in_flight integer)
  loop
    v_at := array(
      select e::bigint from jsonb_array_elements_text(v_grants -> v_report.id::text -> 'at') e
    );
    v_used := v_used
      || array(select v_now - greatest(age, 0) + p_window_ms + 1 from unnest(v_report.answered) age)
      || array(select t from unnest(v_at[v_report.in_flight + cardinality(v_report.answered) + 1:]) t where t > v_now);
    v_grants := v_grants - v_report.id::text;
    if v_report.in_flight > 0 and cardinality(v_at) > 0 then
      v_grants := v_grants || jsonb_build_object(v_report.id, jsonb_build_object(
        'by', (v_bucket -> 'grants' -> v_report.id::text -> 'by'), 'at', v_at[:v_report.in_flight]));
    end if;
  end loop;

  -- The grants of workers that were killed. A token that could have been used is
  -- lost until a request sent at the last moment has arrived and left the window;
  -- a place that was not claimed was never used.
  select coalesce(jsonb_object_agg(g.key, jsonb_build_object('by', g.by, 'at', g.at)), '{}')
  into v_grants
  from (
    select b.key, b.by, jsonb_agg(a.at::bigint order by a.n) as at
    from
      (select key, (value ->> 'by')::bigint as by, value -> 'at' as at from jsonb_each(v_grants)) b,
      jsonb_array_elements_text(b.at) with ordinality a (at, n)
    where v_now < case when a.at::bigint <= b.by then b.by + p_flight_ms + p_window_ms
      else a.at::bigint + p_life_ms end
    group by b.key, b.by
  ) g;
  v_at := array(
    select a.at::bigint from jsonb_each(v_grants) g, jsonb_array_elements_text(g.value -> 'at') a (at)
  );

  if p_retry_after_ms > 0 then
    v_pause := greatest(v_pause, v_now + p_retry_after_ms);
  end if;
  v_pause := least(v_pause, v_now + c_longest_pause);

  -- The remote counts everybody's requests, this bucket its own: the difference
  -- is somebody else's. Only what is certain counts, or latency would pass for
  -- foreign use: every request of ours that can have been in the remote's window
  -- then is taken off, which is all that were answered in the window before the
  -- request was sent, and all tokens in workers' hands.
  if p_remaining >= 0 and v_now - p_sent_ms >= v_seen and p_sent_ms < p_flight_ms then
    v_seen := v_now - p_sent_ms;
    v_others := array[
      p_budget - p_remaining - cardinality(v_at)
        - (select count(*) from unnest(v_used) t where t > v_seen),
      -- A pause ends when the remote's window does.
      case when p_retry_after_ms > 0 then v_pause else v_now + p_window_ms end
    ];
  end if;
  if v_others[2] <= v_now then
    v_others[1] := 0;
  end if;

  -- All tokens nobody holds, soonest first: the free ones, then the used ones and
  -- those of others as they come free. Where there are more used than there
  -- should be, the first to come free belong to nobody.
  v_others[1] := least(greatest(v_others[1], 0), p_budget);
  v_free := p_budget - cardinality(v_at) - v_others[1]
    - (select count(*) from unnest(v_used) t where t > v_now);
  v_skip := greatest(-v_free, 0) + least(p_reserve, p_budget - 1);
  with token as (
    select t.at, t.kind, row_number() over (order by t.at, t.kind) as n
    from (
      select v_now as at, 'free' as kind from generate_series(1, v_free)
      union all
      select u.at, 'used' from unnest(v_used) u (at) where u.at > v_now
      union all
      select v_others[2], 'others' from generate_series(1, v_others[1])
    ) t
  ),
  choice as (
    select at, kind, n, greatest(at, v_pause) as usable,
      n > v_skip and n <= v_skip + p_want and greatest(at, v_pause) - v_now <= p_max_wait_ms as taken
    from token
  )
  select
    coalesce(array_agg(usable order by n) filter (where taken), '{}'),
    coalesce(array_agg(at order by at) filter (where kind = 'used' and not taken), '{}')
      -- Kept for a while: the remote's answers tell of a time that is over by now.
      || array(select u.at from unnest(v_used) u (at) where u.at <= v_now and u.at > v_now - p_flight_ms),
    count(*) filter (where kind = 'others' and taken),
    min(usable) filter (where n = v_skip + 1)
  into v_at, v_used, v_others_taken, v_first
  from choice;
  v_others[1] := v_others[1] - v_others_taken;
  v_used := array(select u.at from unnest(v_used) u (at) order by u.at desc limit p_budget);

  if cardinality(v_at) > 0 then
    -- A time and not a count, so that an id is not handed out again after a loss.
    v_last_grant := greatest(v_last_grant + 1, v_now);
    v_grants := v_grants || jsonb_build_object(v_last_grant, jsonb_build_object(
      'by', v_now + p_life_ms, 'at', v_at));
  end if;

  update public.sync_state s
  set value = v_all || jsonb_build_object(p_bucket, jsonb_build_object(
    'now', v_now, 'grant', v_last_grant, 'used', v_used, 'grants', v_grants, 'pause', v_pause,
    'seen', v_seen, 'others', v_others))
  where s.key = 'token_bucket_state';

  return query select
    case when cardinality(v_at) > 0 then v_last_grant end,
    array(select (t - v_now)::integer from unnest(v_at) t),
    case
      when cardinality(v_at) > 0 or p_want = 0 then 0
      -- Every token is in somebody's hands: nothing is known until one reports.
      else coalesce(v_first - v_now, p_life_ms)::integer
    end;
end;
$$;

revoke all on function public.sync_take_tokens(
  text, integer, integer, integer, integer, integer, integer, integer,
  jsonb, integer, integer, integer, bigint
) from public, anon, authenticated;
grant execute on function public.sync_take_tokens(
  text, integer, integer, integer, integer, integer, integer, integer,
  jsonb, integer, integer, integer, bigint
) to service_role;
