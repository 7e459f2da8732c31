/** Circuits in a test database, on a clock that the test sets. */
import { assert } from "@std/assert";
import {
  type CircuitBreakerLimits,
  circuitBreakerLimits,
} from "../../shared/limits/circuit_breaker_limits.ts";
import type { EnterAnswer } from "../../shared/limits/circuit_breaker_store.ts";
import { DatabaseCircuitBreakers } from "../../shared/store/circuit_breaker_store.ts";
import type { Database } from "../../shared/store/database.ts";
import type { TestDatabase } from "./database.ts";
import { statementsOver } from "./statements_over.ts";

/** When the clock starts, in ms since 1970. */
export const START = Date.UTC(2026, 10, 21, 12);
/** The subject that is called. */
export const SUBJECT = "remote:crm";
/** The limits as they are by default. */
export const LIMITS: Required<CircuitBreakerLimits> = circuitBreakerLimits({});

/** Circuits whose clock stands at the first argument of each call, in ms after the start. */
export function circuitsOf(db: TestDatabase, database: Database = statementsOver(db.pool)) {
  let now = START;
  const circuits = new DatabaseCircuitBreakers(database, () => now);
  const at = <Answer>(ms: number, call: () => Promise<Answer>) => {
    now = START + ms;
    return call();
  };
  return {
    circuits,
    enter: (ms: number, subject = SUBJECT) => at(ms, () => circuits.enter(subject, LIMITS)),
    fail: (ms: number, probe: string | null = null, code: string | null = "remote_unavailable") =>
      at(ms, () => circuits.report(SUBJECT, LIMITS, { ok: false, code, probe })),
    succeed: (ms: number, probe: string | null = null) =>
      at(ms, () => circuits.report(SUBJECT, LIMITS, { ok: true, code: null, probe })),
    giveBack: (ms: number, probe: string) =>
      at(ms, () => circuits.report(SUBJECT, LIMITS, { ok: null, code: null, probe })),
    state: (ms: number, subject = SUBJECT) => at(ms, () => circuits.state(subject, LIMITS)),
    /** Opens the circuit at the start. */
    async open() {
      now = START;
      for (let i = 0; i < 3; i++) {
        await circuits.report(SUBJECT, LIMITS, {
          ok: false,
          code: "remote_unavailable",
          probe: null,
        });
      }
    },
    /** Overwrites what is stored. */
    async set(value: unknown) {
      await db.pool.query(
        `insert into public.sync_state (key, value) values ('circuit_breaker', $1)
         on conflict (key) do update set value = excluded.value`,
        [JSON.stringify(value)],
      );
    },
    /** What is stored. */
    async value(): Promise<Record<string, unknown>> {
      const { rows } = await db.pool.query(
        "select value from public.sync_state where key = 'circuit_breaker'",
      );
      return rows[0].value;
    },
  };
}

/** The probe that an answer names. */
export function probeOf(answer: EnterAnswer): string {
  assert(answer.decision === "probe", answer.decision);
  return answer.probe;
}

/** A time after the start as it is stored. */
export function iso(ms: number): string {
  return new Date(START + ms).toISOString();
}
