import type { Doc, Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { LocalWrite } from "../store/local_writes.ts";
import type { ItemPlan } from "./plan_item.ts";

/** The write on side A that a plan asks for; null where there is none. */
export function localWriteOf(plan: ItemPlan, newId: string, rules: PairRules): LocalWrite | null {
  const { record } = plan;
  switch (plan.kind) {
    case "merge": {
      if (record.a === null || record.aId === null) return null;
      const values: Doc = {};
      for (const { field, side, before, after } of plan.plan.changes) {
        const rule = rules.fields[field];
        if (side !== "local" || rule === undefined) continue;
        values[rule.local] = rule.kind === "set"
          ? rawSet(record.a.doc[rule.local], before, after)
          : after;
      }
      if (Object.keys(values).length === 0) return null;
      return { op: "update", id: record.aId, read: record.a.doc, values };
    }
    case "create_local": {
      const values: Doc = {};
      for (const [field, value] of Object.entries(plan.values)) {
        const rule = rules.fields[field];
        if (rule !== undefined) values[rule.local] = value;
      }
      return { op: "insert", id: newId, values };
    }
    case "absence":
      if (plan.gone !== "remote" || plan.action !== "delete") return null;
      if (record.a === null || record.aId === null) return null;
      return { op: "delete", id: record.aId, read: record.a.doc };
    default:
      return null;
  }
}

/** The whole list of side A with the managed names changed and the others left as they are. */
function rawSet(raw: Json | undefined, before: Json, after: Json): Json {
  const held = Array.isArray(raw) ? raw : [];
  const had = Array.isArray(before) ? before : [];
  const has = Array.isArray(after) ? after : [];
  const kept = held.filter((name) => !had.includes(name) || has.includes(name));
  return [...kept, ...has.filter((name) => !kept.includes(name))];
}
