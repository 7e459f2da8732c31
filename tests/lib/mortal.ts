/**
 * A worker that can be watched and killed: everything it does to the world goes
 * through one place, statement by statement and request by request.
 *
 * @module
 */
import type { Runtime } from "../../shared/http/runtime.ts";
import type { Database, DatabasePool } from "../../shared/store/database.ts";
import type { Harness } from "./function_harness.ts";

/** Something a worker does to the world. */
export interface Step {
  /** A commit stands for the end of a transaction; its statements are steps of their own. */
  readonly kind: "statement" | "commit" | "request";
  /** The statement, or the request's method and path. Empty for a commit. */
  readonly what: string;
  /** What is sent along: a statement's parameters, or the request's body. */
  readonly body: readonly unknown[];
  /** Whether a transaction is open on the same connection, with all that it has locked. */
  readonly inTransaction: boolean;
}

/**
 * Whether a step may change the world; a statement that calls a function of the sync's is taken for one. A worker killed between two steps that only read is as dead as
 * one killed after the step that wrote last.
 */
export function mayWrite({ kind, what }: Step): boolean {
  return kind !== "statement" || /\b(?:insert|update|delete|analyze)\b|\bsync_\w+\s*\(/.test(what);
}

/** Whether what a step did stays when the worker is killed right after it: an open transaction is rolled back, as if it had been killed before. */
export function outlivesWorker(step: Step): boolean {
  return mayWrite(step) && (step.kind === "commit" || !step.inTransaction);
}

/** What happens around steps; what it throws meets the worker in place of the answer. */
export interface StepHooks {
  /** The step has not taken effect; if this throws, it never will. */
  readonly before?: (step: Step) => Promise<void> | void;
  /** The step has taken effect; if this throws, the answer is lost. */
  readonly after?: (step: Step) => Promise<void> | void;
}

/** A worker's surroundings in which every step is watched. */
export function watched(harness: Pick<Harness, "pool" | "runtime">, hooks: StepHooks): Runtime {
  async function take<Answer>(step: Step, work: () => Promise<Answer>): Promise<Answer> {
    await hooks.before?.(step);
    const answer = await work();
    await hooks.after?.(step);
    return answer;
  }
  const wrap = (database: Database, inTransaction: boolean): Database => ({
    query: <Row>(sql: string, parameters: readonly unknown[] = []) =>
      take(
        { kind: "statement", what: sql, body: parameters, inTransaction },
        () => database.query<Row>(sql, parameters),
      ),
  });
  const pool: DatabasePool = {
    ...wrap(harness.pool, false),
    async transaction(work) {
      const commit: Step = { kind: "commit", what: "", body: [], inTransaction: true };
      const result = await harness.pool.transaction(async (database) => {
        const done = await work(wrap(database, true));
        await hooks.before?.(commit);
        return done;
      });
      await hooks.after?.(commit);
      return result;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const base = harness.runtime();
  return {
    ...base,
    database: () => pool,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const { pathname, search } = new URL(request.url);
      const body = request.body === null ? [] : [await request.clone().text()];
      const what = `${request.method} ${pathname}${search}`;
      const step: Step = { kind: "request", what, body, inTransaction: false };
      return await take(step, () => base.fetch(request));
    },
  };
}

/** What the steps of a killed worker throw: nothing is answered to the dead. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/** When a worker dies: at a step, counted from 1, before or after it took effect. */
export interface Death {
  readonly at: number;
  readonly moment: "before" | "after";
}

/** A worker that dies, or one whose steps are counted. */
export interface Mortal {
  readonly runtime: Runtime;
  /** Steps so far. */
  steps(): number;
  died(): boolean;
}

/**
 * A worker's surroundings that are gone from the given step on. Its open
 * transactions are rolled back, as the server does when a connection breaks.
 *
 * @param death null to count the steps of one that lives.
 * @param counts Which steps it can die at; default all of them.
 */
export function mortal(
  harness: Pick<Harness, "pool" | "runtime">,
  death: Death | null,
  counts: (step: Step) => boolean = () => true,
): Mortal {
  let taken = 0;
  let dead = false;
  const numbers = new WeakMap<Step, number>();
  const runtime = watched(harness, {
    before(step) {
      if (!dead && counts(step)) {
        numbers.set(step, ++taken);
        dead = death?.moment === "before" && death.at === taken;
      }
      if (dead) throw new Killed();
    },
    after(step) {
      if (death?.moment === "after" && death.at === numbers.get(step)) dead = true;
      // What was under way when it died may have taken effect too.
      if (dead) throw new Killed();
    },
  });
  return { runtime, steps: () => taken, died: () => dead };
}
