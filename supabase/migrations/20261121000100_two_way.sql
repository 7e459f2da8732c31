-- What the functions that write need beyond the tables there are.

-- Runs of one function and pair that do not stand in each other's way, such as
-- a dry run beside the real one, each have a lane. One unfinished run a lane.
alter table public.sync_runs add column lane text not null default '';
drop index public.sync_runs_unfinished_key;
create unique index sync_runs_unfinished_key on public.sync_runs (function, pair, lane)
  where status in ('running', 'waiting', 'paused');

-- Where the sides differ on a field for good, because what stands in them is
-- known and accepted: the remote keeps a form of its own, say. Without this such
-- a field would be written again by every run.
alter table public.shadow_snapshots add column settled text[] not null default '{}';

-- Whether the sides agree on all that is not settled.
alter table public.shadow_snapshots add column agreed boolean not null
  generated always as (a - settled = b - settled) stored;

-- A hash of side B's own form of a linked record, ids included, in which it was
-- last found to be as its shadow says. A record that still has it needs neither to
-- be decoded nor to be brought into canonical form. A table of its own, since a
-- shadow is a hundred times as wide and would be written anew for it.
create table public.shadow_fingerprints (
  crosswalk_id bigint primary key references public.integration_crosswalk (id) on delete cascade,
  print text collate "C" not null
);

create index shadow_fingerprints_print_idx on public.shadow_fingerprints (print);

-- unlinked: the link was given up. The row stays, so that the record that is left
-- is neither made anew on the other side nor taken for a new one.
alter table public.integration_crosswalk drop constraint integration_crosswalk_link_state_known;
alter table public.integration_crosswalk add constraint integration_crosswalk_link_state_known check (
  link_state in ('linked', 'keep_apart', 'a_missing', 'b_missing', 'unlinked')
);

-- What a staged record was found to be.
alter table public.sync_stage
  -- The one record of the other side with the same key.
  add column partner_id text collate "C",
  -- Fingerprint of a record of side B.
  add column seen text,
  add column state text not null default 'free'
    constraint sync_stage_state_known check (
      state in (
        'free',          -- nobody's: to be matched, or new
        'pair',          -- changed, and linked
        'orphan',        -- its partner is gone: to be matched, but never made anew
        'absent',        -- linked, and not in the enumeration
        'unreadable',
        'matched', 'duplicate_key', 'key_taken', 'kept_apart', 'no_key'
      )
    );

-- The ids of an enumeration of side B, a page a row: together they prove what is
-- absent, and as a page's ids are one array, the proof costs next to nothing.
create table public.sync_seen (
  run_id uuid not null,
  epoch integer not null,
  page integer not null,
  ids text[] collate "C" not null,
  primary key (run_id, epoch, page)
);

-- The records a run has to look at closely, in the order of its walk over all of
-- them; everything between two of them is in sync.
create table public.sync_work (
  run_id uuid not null,
  epoch integer not null,
  -- Place among all records of the walk, from 1.
  ordinal integer not null,
  kind text not null
    constraint sync_work_kind_known check (
      kind in ('pair', 'absent_local', 'absent_remote', 'match', 'new_local', 'new_remote', 'held')
    ),
  crosswalk_id bigint,
  a_id uuid,
  b_id text collate "C",
  primary key (run_id, epoch, ordinal)
);

-- Records whose write was refused. From the third failing run on they are dead
-- letters: left alone, without a call, until one of the sides changes.
create table public.sync_failures (
  pair text not null,
  record_key text not null,
  a_id uuid,
  b_id text,
  code text not null,
  -- Runs in a row in which it failed.
  runs integer not null default 1,
  a_token text not null,
  b_token text not null,
  last_run_id uuid references public.sync_runs (id) on delete set null,
  first_failed_at timestamptz not null default now(),
  last_failed_at timestamptz not null default now(),
  primary key (pair, record_key)
);

create index sync_failures_last_run_id_idx on public.sync_failures (last_run_id);

-- Who must not be written to, by a digest of the key they were matched by. A
-- remote that brings a deleted record back as if nothing had been would otherwise
-- put a person who left on the list again. No address, so that it may outlive the record.
create table public.sync_suppressions (
  pair text not null,
  key_digest text not null,
  consent text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (pair, key_digest)
);

create trigger sync_suppressions_set_updated_at before update on public.sync_suppressions
  for each row execute function public.set_updated_at();

-- When a decision about a conflict was carried out.
alter table public.sync_conflicts add column applied_at timestamptz;
create index sync_conflicts_decided_idx on public.sync_conflicts (pair, record_key)
  where status = 'resolved' and applied_at is null;

alter table public.sync_findings drop constraint sync_findings_kind_known;
alter table public.sync_findings add constraint sync_findings_kind_known check (
  kind in (
    'drift', 'duplicate_key', 'missing_local', 'missing_remote', 'unreadable_local',
    'unreadable_remote', 'key_taken', 'guard'
  )
);

alter table public.shadow_fingerprints enable row level security;
alter table public.sync_seen enable row level security;
alter table public.sync_work enable row level security;
alter table public.sync_failures enable row level security;
alter table public.sync_suppressions enable row level security;

revoke all on public.shadow_fingerprints, public.sync_seen, public.sync_work, public.sync_failures, public.sync_suppressions
from public, anon, authenticated, service_role;
grant select, insert, update, delete on
  public.shadow_fingerprints, public.sync_seen, public.sync_work, public.sync_failures, public.sync_suppressions
to service_role;

-- Ids, codes and counts.
grant select on public.sync_failures to authenticated;
create policy sync_people_read on public.sync_failures for select to authenticated
  using ((select public.sync_role()) in ('operator', 'viewer'));
