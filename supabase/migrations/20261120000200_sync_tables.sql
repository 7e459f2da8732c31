-- The sync's own tables. Privileges are granted one by one, because whether new
-- tables are granted to the API roles by default differs between projects.

-- Who may look: people whose access token carries app_metadata.sync_role.
-- app_metadata is written by administrators only; user_metadata is not.
create function public.sync_role() returns text
language sql
stable
set search_path = ''
as $$
  select auth.jwt() -> 'app_metadata' ->> 'sync_role'
$$;

revoke all on function public.sync_role() from public, anon;
grant execute on function public.sync_role() to authenticated, service_role;

-- Which record of A is which record of B ------------------------------------

create table public.integration_crosswalk (
  id bigint generated always as identity primary key,
  pair text not null,
  a_id uuid not null,
  -- An id is compared and never shown in order: "C" spares every look-up the locale's rules.
  b_id text collate "C" not null,
  -- keep_apart: a person decided that these two are not the same; matching
  -- must not ask again. a_missing and b_missing: gone from that side, with proof.
  link_state text not null default 'linked'
    constraint integration_crosswalk_link_state_known check (
      link_state in ('linked', 'keep_apart', 'a_missing', 'b_missing')
    ),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- A record has one partner on the other side; it may be kept apart from many.
create unique index integration_crosswalk_a_id_key on public.integration_crosswalk (pair, a_id)
  where link_state <> 'keep_apart';
create unique index integration_crosswalk_b_id_key on public.integration_crosswalk (pair, b_id)
  where link_state <> 'keep_apart';
create unique index integration_crosswalk_keep_apart_key on public.integration_crosswalk (pair, a_id, b_id)
  where link_state = 'keep_apart';
-- The walk over all pairs in a stable order, by keyset.
create index integration_crosswalk_walk_idx on public.integration_crosswalk (pair, id);

create trigger integration_crosswalk_set_updated_at before update on public.integration_crosswalk
  for each row execute function public.set_updated_at();

-- Both sides as they stood at the last agreement: the base of the three-way merge.
create table public.shadow_snapshots (
  crosswalk_id bigint primary key references public.integration_crosswalk (id) on delete cascade,
  a jsonb not null,
  b jsonb not null,
  a_token text not null,
  b_token text not null,
  -- Raised by every write; a writer that read an older version commits nothing.
  version bigint not null default 1,
  taken_at timestamptz not null default now()
);

-- Small shared state, one row a subject -------------------------------------

create table public.sync_state (
  key text primary key,
  value jsonb not null,
  updated_at timestamptz not null default now()
);

create trigger sync_state_set_updated_at before update on public.sync_state
  for each row execute function public.set_updated_at();

-- Runs ----------------------------------------------------------------------

-- Rises with every lease handed out, over all runs: a worker with a lower number
-- than the run's lost its lease, and nothing it still sends is committed.
create sequence public.sync_fencing as bigint;

create table public.sync_runs (
  id uuid primary key default gen_random_uuid(),
  function text not null,
  pair text not null,
  -- running: a worker holds the lease. waiting: cut off cleanly, to be continued
  -- by the next call. paused: a person said so.
  status text not null
    constraint sync_runs_status_known check (
      status in ('running', 'waiting', 'paused', 'completed', 'failed')
    ),
  stop_reason text,
  phase text not null default '',
  params jsonb not null default '{}',
  cursor jsonb not null default '{}',
  counters jsonb not null default '{}',
  errors integer not null default 0,
  current_batch integer not null default 0,
  total_batches integer not null default 0,
  error jsonb,
  epoch integer not null default 1,
  slices integer not null default 0,
  pause_requested boolean not null default false,
  lease_owner uuid,
  fencing bigint not null default 0,
  heartbeat_at timestamptz not null default now(),
  requested_by text not null,
  started_at timestamptz not null default now(),
  last_updated_at timestamptz not null default now(),
  ended_at timestamptz,
  -- A run with failures cannot say completed, whoever writes the row.
  constraint sync_runs_completed_without_errors check (status <> 'completed' or errors = 0),
  constraint sync_runs_ended check ((ended_at is not null) = (status in ('completed', 'failed')))
);

-- One unfinished run a function and pair: the second caller is told, not queued.
create unique index sync_runs_unfinished_key on public.sync_runs (function, pair)
  where status in ('running', 'waiting', 'paused');
create index sync_runs_latest_idx on public.sync_runs (function, pair, started_at desc);

-- What a run noticed and left alone: ids only, never a value.
create table public.sync_findings (
  id bigint generated always as identity primary key,
  run_id uuid not null references public.sync_runs (id) on delete cascade,
  kind text not null
    constraint sync_findings_kind_known check (
      kind in (
        'drift', 'duplicate_key', 'missing_local', 'missing_remote',
        'unreadable_local', 'unreadable_remote'
      )
    ),
  a_ids text[] not null default '{}',
  b_ids text[] not null default '{}',
  fields text[] not null default '{}',
  found_at timestamptz not null default now()
);

create index sync_findings_run_id_idx on public.sync_findings (run_id, kind);

-- Both sides of one enumeration, canonical, until they are joined. Not unlogged,
-- though it could be listed again: a crash of the database empties an unlogged
-- table, and a run that did not notice would report every record as missing.
create table public.sync_stage (
  run_id uuid not null,
  -- Of the enumeration: what a worker of an older one still stages is never joined.
  epoch integer not null,
  side "char" not null
    constraint sync_stage_side_known check (side in ('a', 'b')),
  record_id text collate "C" not null,
  natural_key text collate "C" not null,
  doc jsonb not null,
  token text not null,
  primary key (run_id, epoch, side, record_id)
);

-- Conflicts, log, queue, intents --------------------------------------------

create table public.sync_conflicts (
  id bigint generated always as identity primary key,
  pair text not null,
  crosswalk_id bigint references public.integration_crosswalk (id) on delete cascade,
  record_key text not null,
  field text not null,
  base jsonb,
  a jsonb,
  b jsonb,
  reason text not null,
  status text not null default 'open'
    constraint sync_conflicts_status_known check (status in ('open', 'resolved', 'superseded')),
  choice text,
  resolved_value jsonb,
  resolved_by text,
  run_id uuid references public.sync_runs (id) on delete set null,
  created_at timestamptz not null default now(),
  resolved_at timestamptz,
  constraint sync_conflicts_closed check ((resolved_at is not null) = (status <> 'open'))
);

create unique index sync_conflicts_open_key on public.sync_conflicts (pair, record_key, field)
  where status = 'open';
create index sync_conflicts_crosswalk_id_idx on public.sync_conflicts (crosswalk_id);
create index sync_conflicts_run_id_idx on public.sync_conflicts (run_id);

create table public.sync_log (
  id bigint generated always as identity primary key,
  run_id uuid references public.sync_runs (id) on delete set null,
  pair text not null,
  crosswalk_id bigint,
  a_id uuid,
  b_id text,
  side "char" not null
    constraint sync_log_side_known check (side in ('a', 'b')),
  action text not null,
  field text,
  before jsonb,
  after jsonb,
  rule text not null,
  applied boolean not null,
  created_at timestamptz not null default now()
);

create index sync_log_run_id_idx on public.sync_log (run_id);
create index sync_log_crosswalk_id_idx on public.sync_log (crosswalk_id, created_at desc);
create index sync_log_created_at_idx on public.sync_log (created_at);

create table public.sync_queue (
  pair text not null,
  side "char" not null
    constraint sync_queue_side_known check (side in ('a', 'b')),
  record_id text not null,
  reason text not null,
  attempts integer not null default 0,
  enqueued_at timestamptz not null default now(),
  not_before timestamptz not null default now(),
  primary key (pair, side, record_id)
);

create index sync_queue_due_idx on public.sync_queue (pair, not_before);

create table public.sync_intents (
  id uuid primary key default gen_random_uuid(),
  run_id uuid references public.sync_runs (id) on delete set null,
  pair text not null,
  crosswalk_id bigint references public.integration_crosswalk (id) on delete cascade,
  a_id uuid,
  b_id text,
  operation text not null
    constraint sync_intents_operation_known check (operation in ('create', 'update', 'delete')),
  payload jsonb not null,
  state text not null default 'planned'
    constraint sync_intents_state_known check (state in ('planned', 'sent', 'unknown')),
  fencing bigint not null,
  created_at timestamptz not null default now(),
  sent_at timestamptz
);

create index sync_intents_pair_idx on public.sync_intents (pair, created_at);
create index sync_intents_run_id_idx on public.sync_intents (run_id);
create index sync_intents_crosswalk_id_idx on public.sync_intents (crosswalk_id);

-- Privileges ----------------------------------------------------------------

alter table public.integration_crosswalk enable row level security;
alter table public.shadow_snapshots enable row level security;
alter table public.sync_state enable row level security;
alter table public.sync_runs enable row level security;
alter table public.sync_findings enable row level security;
alter table public.sync_stage enable row level security;
alter table public.sync_conflicts enable row level security;
alter table public.sync_log enable row level security;
alter table public.sync_queue enable row level security;
alter table public.sync_intents enable row level security;

revoke all on
  public.integration_crosswalk, public.shadow_snapshots, public.sync_state, public.sync_runs,
  public.sync_findings, public.sync_stage, public.sync_conflicts, public.sync_log,
  public.sync_queue, public.sync_intents
from public, anon, authenticated, service_role;
revoke all on sequence public.sync_fencing from public, anon, authenticated, service_role;

grant select, insert, update, delete on
  public.integration_crosswalk, public.shadow_snapshots, public.sync_state, public.sync_runs,
  public.sync_findings, public.sync_stage, public.sync_conflicts, public.sync_log,
  public.sync_queue, public.sync_intents
to service_role;
grant usage on sequence public.sync_fencing to service_role;

-- Dashboards read with a signed-in user's token. Tables with ids and counts are
-- for viewers and operators; tables that hold people's values for operators only.
grant select on
  public.integration_crosswalk, public.sync_state, public.sync_runs, public.sync_findings,
  public.sync_queue, public.sync_conflicts, public.sync_log
to authenticated;

create policy sync_people_read on public.integration_crosswalk for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
create policy sync_people_read on public.sync_state for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
create policy sync_people_read on public.sync_runs for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
create policy sync_people_read on public.sync_findings for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
create policy sync_people_read on public.sync_queue for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
create policy sync_operators_read on public.sync_conflicts for select to authenticated
  using ((select public.sync_role()) = 'operator');
create policy sync_operators_read on public.sync_log for select to authenticated
  using ((select public.sync_role()) = 'operator');
