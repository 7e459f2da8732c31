-- The ids of a page live for one run. Compressing them took half the time of storing
-- them, and reading them again took as long as it saved.
alter table public.sync_seen alter column ids set storage external;
