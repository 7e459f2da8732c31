import { isForbidding } from "../../shared/merge/consent_order.ts";
import type { CanonicalRecord } from "../../shared/merge/pair.ts";
import { planRecord } from "../../shared/merge/plan_record.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import { readShadows, type ShadowRow } from "./shadows.ts";
import type { World } from "./world.ts";

/** Checks that linked records are equal, or not for a reason. */
export async function checkConvergence(world: World): Promise<void> {
  const shadows = new Map((await readShadows(world)).map((shadow) => [shadow.aId, shadow]));
  const failures = await world.database.pool.query<{ key: string; code: string }>(
    `select record_key as key, code from public.sync_failures`,
  );
  const open = await world.database.pool.query<{ key: string; field: string }>(
    `select record_key as key, field from public.sync_conflicts where status = 'open'`,
  );
  const held = new Set(
    (await world.database.pool.query<{ id: string }>(
      `select unnest(a_ids || b_ids) as id from public.sync_findings where kind in ('duplicate_key', 'key_taken')`,
    )).map(({ id }) => id),
  );
  for (const link of world.links) {
    if (link.state !== "linked") continue;
    const client = world.local.clients.get(link.aId);
    const row = world.remote.rows.get(link.bId);
    const name = world.name("a", link.aId);
    const unsettled = (detail: string) =>
      world.violate(
        "convergence: mapped fields are equal on both sides, or the difference is explained",
        `${name}: ${detail}`,
      );
    const key = `cw:${link.id}`;
    if (failures.some((failure) => failure.key === key)) continue;
    if (held.has(link.aId) || held.has(link.bId)) continue;
    if (client === undefined || row === undefined) {
      if (!open.some((conflict) => conflict.key === key)) {
        unsettled(
          client === undefined
            ? "side A is gone, and it is still linked"
            : "side B is gone, and it is still linked",
        );
      }
      continue;
    }
    const a = world.local.canonical(client);
    const b = world.remote.canonical(row);
    const shadow = shadows.get(link.aId);
    if (!world.remote.isReadable(row)) continue;
    if (shadow === undefined) {
      unsettled("there is no shadow");
      continue;
    }
    // By no policy, no base and no decision.
    if (isForbidding(a["consent"]) !== isForbidding(b["consent"])) unsettled("one side forbids");
    for (const field of differences(world, a, b, shadow)) {
      if (open.some((conflict) => conflict.key === key && conflict.field === field)) continue;
      unsettled(`${field} differs`);
    }
  }
}

/** Fields on which the sides differ without an explanation of the policy. */
function differences(
  world: World,
  a: CanonicalRecord,
  b: CanonicalRecord,
  shadow: ShadowRow,
): string[] {
  const { rules } = world;
  const base = { a: shadow.a, b: shadow.b, settled: shadow.settled };
  const plan = planRecord(rules, { base, a, b, decisions: [], localRefusals: {} }, "both");
  return Object.entries(rules.fields).flatMap(([field, rule]) => {
    if (sameJson(a[field], b[field])) return [];
    const kept = plan.kept.find((each) => each.field === field)?.reason;
    if (rule.kind === "consent") return kept === undefined ? [field] : [];
    if (rule.kind === "value" && rule.flow !== "both") return [];
    // What a one-way field kept apart was accepted. A policy that lets it flow both ways takes
    // nothing back: the next edit of either side travels.
    const isAccepted = shadow.settled.includes(field) && sameJson(shadow.a[field], a[field]) &&
      sameJson(shadow.b[field], b[field]);
    if (isAccepted && world.onceOneWay.has(field)) return [];
    // Side A has no partner to hold it.
    const isPartner = field.startsWith("partner") && a["partnerName"] === null;
    return isPartner ? [] : [field];
  });
}
