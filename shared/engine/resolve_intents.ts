import { LEFT_OVER_PAGE, type LeftOverIntent, leftOverIntents } from "../store/intent_store.ts";
import type { Run } from "../store/run.ts";
import { type Slice, STALE_MS } from "./slice.ts";

/**
 * Finds out what became of calls nobody heard the answer of, before anything else
 * is planned. A delete shows in the next read of the record, and is planned from
 * there. What an update has brought to the remote becomes the base: or it would look
 * like an edit made there, over which side A's next edit might have to give way. If
 * the sides were matched just then, they are linked now. A
 * create shows as a record with the key it was sent with:
 * it is linked to the record it was made for, even if that has another key by now,
 * or it would come back as a stranger.
 */
export async function resolveIntents(slice: Slice, run: Run): Promise<void> {
  const { pool } = slice.deps;
  // All of them: one that is not looked into is sent again by what is planned next.
  for (let after: LeftOverIntent | null = null;;) {
    const leftOver: LeftOverIntent[] = await leftOverIntents(pool, run, STALE_MS, after);
    if (leftOver.length > 0) {
      // There hardly ever are any, and what settles them is a lot to load.
      const { settleIntents } = await import("./settle_intents.ts");
      await settleIntents(slice, run, leftOver, after);
    }
    if (leftOver.length < LEFT_OVER_PAGE) return;
    after = leftOver.at(-1) ?? null;
  }
}
