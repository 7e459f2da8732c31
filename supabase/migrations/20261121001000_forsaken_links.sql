-- The remote may give a record of side B, by its id, to somebody else: it brings a
-- deleted one back for who is made under its last key. What is left of the old link is
-- its record of side A, which is still not to be made anew. It has no partner then, and
-- the row that says so may not stand in the way of the new link.
alter table public.integration_crosswalk alter column b_id drop not null;
alter table public.integration_crosswalk add constraint integration_crosswalk_b_id_given
  check (b_id is not null or link_state = 'unlinked');
