import type { Json } from "../../shared/merge/json.ts";
import type { Side } from "./versions.ts";
import { slotsOf } from "./versions.ts";
import type { World } from "./world.ts";

/** A change of side A, as it was seen or as the log has it. */
export interface LocalWrite {
  readonly id: string;
  readonly action: "create" | "update" | "delete";
  readonly field: string | null;
  readonly before: Json;
  readonly after: Json;
}

interface Line extends Omit<LocalWrite, "id"> {
  readonly aId: string;
  readonly bId: string | null;
  readonly side: Side;
}

function keyOf({ id, action, field, before, after }: LocalWrite): string {
  return JSON.stringify(action === "update" ? [id, action, field, before, after] : [id, action]);
}

/** Checks that the log of what was applied is what happened: of side A to the letter. */
export async function checkLog(world: World): Promise<void> {
  const lines = await world.database.pool.query<Line>(
    `select side, action, field, a_id::text as "aId", b_id as "bId", before, after
     from public.sync_log
     where applied and action in ('create', 'update', 'delete') and rule <> 'undo' order by id`,
  );
  const owed = new Map<string, number>();
  const count = (write: LocalWrite, n: number) =>
    owed.set(keyOf(write), (owed.get(keyOf(write)) ?? 0) + n);
  for (const write of world.local.written) count(write, 1);
  for (const { side, aId, bId, ...line } of lines) {
    // What belongs to a partner changes for everybody who has that partner.
    if (line.field?.startsWith("partner")) continue;
    if (side === "a") count({ id: aId, ...line }, -1);
    else if (bId !== null && line.action === "update") checkClaim(world, bId, line);
  }
  for (const [key, n] of owed) {
    if (n === 0) continue;
    const [id, action, field] = JSON.parse(key);
    world.violate(
      "the log tells every change of side A, and no other",
      `${world.name("a", id)}: ${action} of ${field ?? "the record"}, ${
        n > 0 ? "not told" : "not done"
      }`,
    );
  }
}

/** What is said to have been written at the remote stood there. */
function checkClaim(
  world: World,
  bId: string,
  { field, after }: Pick<Line, "field" | "after">,
): void {
  if (field === null) return;
  for (const [slot, value] of slotsOf(world.rules, { [field]: after })) {
    if (slot.split("/")[0] !== field || world.versions.confirm("b", bId, slot, value)) continue;
    world.violate(
      "the log tells every change of side A, and no other",
      `${world.name("b", bId)}.${slot} never held what the log has`,
    );
  }
}
