-- The status that dashboards read. Its keys are stable API.

insert into public.sync_state (key, value) values
  ('sync_status', '{
    "backfill": {
      "status": "paused", "phase": "Never run", "currentBatch": 0, "totalBatches": 0,
      "shadowsCreated": 0, "errors": 0, "startedAt": null, "lastUpdatedAt": null,
      "completedAt": null, "paused": false
    },
    "fullSync": {"status": "idle", "lastCompletedAt": null, "totalProcessed": 0, "totalUpdated": 0},
    "lastSync": {"timestamp": null, "recordsProcessed": 0},
    "statistics": {"recordsProcessed": 0, "updatesApplied": 0, "conflicts": 0, "lastUpdated": null}
  }'),
  ('token_bucket_state', '{}'),
  ('circuit_breaker', '{}'),
  ('daily_quota', '{}')
on conflict (key) do nothing;

-- Written by a trigger on the runs, so that the status is always computed from
-- the run's counters in the transaction that changed them. When functions wrote
-- it themselves, a crash between the two writes left a status that lied.
create function public.sync_publish_backfill_status() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update public.sync_state
  set value = jsonb_set(value, '{backfill}', jsonb_build_object(
    -- waiting, between two slices: about to call itself (running), until the next
    -- call (paused), or stopped by an error until then (failed).
    'status', case
      when new.status <> 'waiting' then new.status
      when new.error is not null then 'failed'
      when (new.params ->> 'autoContinue')::boolean then 'running'
      else 'paused'
    end,
    'phase', new.phase,
    'currentBatch', new.current_batch,
    'totalBatches', new.total_batches,
    'shadowsCreated', coalesce((new.counters ->> 'shadowsCreated')::integer, 0),
    'errors', new.errors + case when new.status = 'waiting' and new.error is not null then 1 else 0 end,
    'startedAt', new.started_at,
    'lastUpdatedAt', new.last_updated_at,
    'completedAt', case when new.status = 'completed' then new.ended_at end,
    'paused', new.status = 'paused' or new.pause_requested
  ))
  where key = 'sync_status';
  return null;
end;
$$;

revoke all on function public.sync_publish_backfill_status() from public, anon, authenticated;

create trigger sync_runs_publish_backfill_status
  after insert or update on public.sync_runs
  for each row when (new.function = 'backfill-sync')
  execute function public.sync_publish_backfill_status();
