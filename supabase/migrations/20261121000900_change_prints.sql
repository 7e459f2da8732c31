-- Side A's counterpart of a fingerprint: a hash of a record's mapped columns, with
-- which it was last found to be as its shadow says. A token has to be taken of the
-- record as JSON, which costs ten times as much, and that for every record of every run.
alter table public.shadow_fingerprints add column a_print bigint;

-- Fingerprints of side B are read as a whole now, and compared where the records are:
-- numbers, without an index. Those there are cost a look at their record once more.
drop index public.shadow_fingerprints_print_idx;
alter table public.shadow_fingerprints alter column print drop not null;
alter table public.shadow_fingerprints alter column print type bigint using null;
alter table public.sync_stage alter column seen type bigint using null;

-- The version of the shadow that both stand for; whoever writes a shadow raises it.
-- So a reader who compared with the shadow before cannot put back what it saw: a
-- record that changed back later would pass for what the shadow says by now.
alter table public.shadow_fingerprints add column version bigint not null default 0;
update public.shadow_fingerprints f set version = s.version
from public.shadow_snapshots s where s.crosswalk_id = f.crosswalk_id;
