import {
  clearIntents,
  type FoundLink,
  type Intent,
  leftOverIntents,
  linkFound,
} from "../store/intent_store.ts";
import type { Run } from "../store/run.ts";
import type { Slice } from "./slice.ts";

/**
 * Finds out what became of calls nobody heard the answer of, before anything else
 * is planned. An update or a delete shows in the next read of the record, and is
 * planned from there. A create shows as a record with the key it was sent with:
 * it is linked to the record it was made for, even if that has another key by now,
 * or it would come back as a stranger.
 */
export async function resolveIntents(slice: Slice, run: Run): Promise<void> {
  const { pool, pair, log } = slice.deps;
  const intents = await leftOverIntents(pool, run);
  if (intents.length === 0) return;
  const creates = intents.filter(({ operation }) => operation === "create");
  const found = await findCreated(slice, creates);
  const links: FoundLink[] = [];
  const open = new Set<string>();
  for (const [index, { id, aId }] of creates.entries()) {
    const records = found[index] ?? [];
    const [record] = records;
    if (record !== undefined && records.length === 1 && aId !== null) {
      links.push({ aId, bId: record.id });
    } else if (records.length > 1) open.add(id);
  }
  const settled = intents.flatMap(({ id }) => open.has(id) ? [] : [id]);
  if (links.length > 0) await linkFound(pool, run, links, settled);
  else await clearIntents(pool, settled);
  log("info", "intents_resolved", {
    runId: run.id,
    intents: settled.length,
    linked: links.length,
    pair: pair.name,
  });
}

async function findCreated(slice: Slice, creates: readonly Intent[]) {
  if (creates.length === 0) return [];
  const keys = creates.map(({ payload }) => String(payload["key"] ?? ""));
  return await slice.deps.pair.remote.connector.find(slice.remote, keys);
}
