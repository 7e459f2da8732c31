/** A daily quota in a test database, on a clock that the test sets. */
import { assert } from "@std/assert";
import type { ReserveRequest } from "../../shared/limits/daily_quota_store.ts";
import { DatabaseDailyQuotas } from "../../shared/store/daily_quota_store.ts";
import type { Database } from "../../shared/store/database.ts";
import type { TestDatabase } from "./database.ts";
import { statementsOver } from "./statements_over.ts";

/** Midnight UTC of 22 November, in ms since 1970. */
export const MIDNIGHT = Date.UTC(2026, 10, 22);
/** The name of the quota. */
export const NAME = "records";
/** Records a day. */
export const LIMIT = 100;
/** What is reserved unless something else is said. */
export const REQUEST: ReserveRequest = { want: 10, all: false, leaseMs: 600_000 };

/** A quota whose clock stands at the first argument of each call, in ms after midnight. */
export function quotasOf(db: TestDatabase, database: Database = statementsOver(db.pool)) {
  let now = MIDNIGHT;
  const quotas = new DatabaseDailyQuotas(database, () => now);
  const at = <Answer>(ms: number, call: () => Promise<Answer>) => {
    now = MIDNIGHT + ms;
    return call();
  };
  return {
    quotas,
    reserve: (ms: number, request: Partial<ReserveRequest> = {}, limit = LIMIT) =>
      at(ms, () => quotas.reserve(NAME, limit, { ...REQUEST, ...request })),
    settle: (ms: number, reservation: string | null, used: number) => {
      assert(reservation !== null, "nothing was granted");
      return at(ms, () => quotas.settle(NAME, LIMIT, reservation, used));
    },
    state: (ms: number, limit = LIMIT) => at(ms, () => quotas.state(NAME, limit)),
    /** Overwrites what is stored. */
    async set(value: unknown) {
      await db.pool.query(
        `insert into public.sync_state (key, value) values ('daily_quota', $1)
         on conflict (key) do update set value = excluded.value`,
        [JSON.stringify(value)],
      );
    },
    /** What is stored. */
    async value(): Promise<Record<string, Record<string, unknown>>> {
      const { rows } = await db.pool.query(
        "select value from public.sync_state where key = 'daily_quota'",
      );
      return rows[0].value;
    },
  };
}

/** A time after midnight as it is stored. */
export function iso(ms: number): string {
  return new Date(MIDNIGHT + ms).toISOString();
}
