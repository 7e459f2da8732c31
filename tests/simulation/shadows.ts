import type { CanonicalRecord } from "../../shared/merge/pair.ts";
import type { World } from "./world.ts";

/** A shadow, with the link it belongs to. */
export interface ShadowRow {
  readonly aId: string;
  /** null where the record is somebody else's by now, and the link remembers who had it. */
  readonly bId: string | null;
  readonly state: string;
  readonly a: CanonicalRecord;
  readonly b: CanonicalRecord;
  readonly settled: readonly string[];
}

/** Reads all shadows. */
export async function readShadows(world: World): Promise<ShadowRow[]> {
  return await world.database.pool.query<ShadowRow>(
    `select cw.a_id::text as "aId", cw.b_id as "bId", cw.link_state as state, s.a, s.b, s.settled
     from public.shadow_snapshots s join public.integration_crosswalk cw on cw.id = s.crosswalk_id
     order by cw.id`,
  );
}
