import type { Database } from "./database.ts";
import type { LocalResult } from "./local_write.ts";

/** How long a write waits for somebody else's transaction, in ms: below the 1 s after which PostgreSQL looks for deadlocks. */
const LOCK_TIMEOUT_MS = 100;

/** How often. One record is found among a thousand within eleven; more waits hold up everybody. */
const MAX_WAITS = 15;

// SQLSTATE classes (PostgreSQL, Appendix A): 22 data exception, 23 integrity constraint violation,
// 27 a trigger of one row changed another row of the same statement (alone, each goes through),
// 44 a view's check option. P0001 is "raise exception" in a trigger.
const REFUSAL = /^(?:(?:22|23|27|44)...|P0001)$/;

/** 55P03, lock_not_available. */
const LOCKED = "55P03";

function sqlState(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : null;
  return typeof code === "string" ? code : "";
}

/**
 * Runs `work` with statements that give up soon when they have to wait for a lock.
 *
 * Rows are locked beforehand, but a unique index or a foreign key can still make
 * a write wait for somebody's open transaction.
 */
export async function withShortWaits(
  database: Database,
  work: () => Promise<void>,
): Promise<void> {
  const rows = await database.query<{ before: string }>(
    `select current_setting('lock_timeout') as before, set_config('lock_timeout', $1, true)`,
    [`${LOCK_TIMEOUT_MS}ms`],
  );
  await work();
  await database.query(`select set_config('lock_timeout', $1, true)`, [rows[0]?.before ?? "0"]);
}

/**
 * Carries writes out together; where the database refuses them, rolls back to a
 * savepoint and tries halves, until those it refuses are alone.
 *
 * @param carryOut Writes all of a part, or throws.
 * @returns What became of the writes that were not carried out.
 * @throws What `carryOut` threw, if it is no refusal.
 */
export async function writeOrSplit<Write>(
  database: Database,
  writes: readonly Write[],
  carryOut: (part: readonly Write[]) => Promise<void>,
): Promise<Map<Write, LocalResult>> {
  const left = new Map<Write, LocalResult>();
  if (writes.length === 0) return left;
  let waits = 0;
  const parts = [writes];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    await database.query("savepoint local_writes");
    try {
      await carryOut(part);
    } catch (error) {
      const code = sqlState(error);
      const locked = code === LOCKED;
      if (!locked && !REFUSAL.test(code)) throw error;
      await database.query("rollback to savepoint local_writes");
      if (locked) waits++;
      if (part.length === 1 || (locked && waits >= MAX_WAITS)) {
        const result: LocalResult = locked
          ? { outcome: "moved" }
          : { outcome: "rejected", code: `database_${code}` };
        for (const write of part) left.set(write, result);
      } else {
        const middle = Math.ceil(part.length / 2);
        parts.push(part.slice(middle), part.slice(0, middle));
      }
    }
    await database.query("release savepoint local_writes");
  }
  return left;
}
