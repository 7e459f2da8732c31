import type { Database, DatabasePool } from "../../shared/store/database.ts";
import type { Actor, Scheduler } from "./scheduler.ts";
import { onClock, type SimulatedDatabase } from "./simulated_database.ts";

/** What became of a connection that is gone: as the driver says it. */
class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  readonly code = "ECONNRESET";
}

function lost(): Error {
  return new ConnectionLost("Connection terminated unexpectedly");
}

/** Sees every statement that was sent, with what came of it. */
export type OnStatement = (
  sql: string,
  parameters: readonly unknown[],
  answer: readonly unknown[] | Error,
) => void;

/** A transaction that is open on a connection of its own. */
class Transaction {
  readonly #finish = Promise.withResolvers<void>();
  #whole: Promise<void> = Promise.resolve();
  broken = false;
  impatient = false;

  /** Begins it and answers its connection. */
  async begin(pool: DatabasePool, worker: string): Promise<Database> {
    const { promise, resolve, reject } = Promise.withResolvers<Database>();
    this.#whole = pool.transaction(async (database) => {
      await database.query("select set_config('sim.worker', $1, true)", [worker]);
      resolve(database);
      await this.#finish.promise;
    });
    this.#whole.catch(reject);
    return await promise;
  }

  async commit(): Promise<void> {
    this.#finish.resolve();
    await this.#whole;
  }

  async rollback(): Promise<void> {
    this.#finish.promise.catch(() => {});
    this.#finish.reject(lost());
    await this.#whole.catch(() => {});
  }
}

/** The pool of one worker: every statement, beginning and end is a step. */
export class WorkerDatabase implements DatabasePool {
  readonly #database: SimulatedDatabase;
  readonly #scheduler: Scheduler;
  readonly #actor: Actor;
  readonly #onStatement: OnStatement;
  readonly #open = new Set<Transaction>();

  constructor(
    database: SimulatedDatabase,
    scheduler: Scheduler,
    actor: Actor,
    onStatement: OnStatement,
  ) {
    this.#database = database;
    this.#scheduler = scheduler;
    this.#actor = actor;
    this.#onStatement = onStatement;
  }

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return await this.#statement<Row>(this.#database.pool, sql, parameters, null);
  }

  async transaction<Result>(work: (database: Database) => Promise<Result>): Promise<Result> {
    const transaction = new Transaction();
    const step = { actor: this.#actor, what: "", lost };
    const database = await this.#scheduler.step({
      ...step,
      kind: "begin",
      run: async () => {
        this.#open.add(transaction);
        return await transaction.begin(this.#database.pool, this.#actor.name);
      },
    }).catch(async (error: unknown) => {
      await transaction.rollback();
      this.#open.delete(transaction);
      throw error;
    });
    try {
      const result = await work({
        query: <Row>(sql: string, parameters: readonly unknown[] = []) =>
          this.#statement<Row>(database, sql, parameters, transaction),
      });
      if (transaction.broken) throw lost();
      await this.#scheduler.step({ ...step, kind: "commit", run: () => transaction.commit() });
      return result;
    } catch (error) {
      if (transaction.broken) await transaction.rollback();
      else {
        await this.#scheduler.step({ ...step, kind: "rollback", run: () => transaction.rollback() })
          .catch(() => transaction.rollback());
      }
      throw error;
    } finally {
      this.#open.delete(transaction);
    }
  }

  async #statement<Row>(
    database: Database,
    sql: string,
    parameters: readonly unknown[],
    transaction: Transaction | null,
  ): Promise<Row[]> {
    if (transaction?.broken === true) throw lost();
    const given = waitsFor(sql, parameters);
    if (transaction !== null && given !== parameters) transaction.impatient = given[0] !== "0";
    try {
      return await this.#scheduler.step({
        actor: this.#actor,
        kind: "statement",
        what: sql,
        impatient: transaction?.impatient ?? false,
        lost,
        run: async () => {
          await this.#database.setClock(this.#scheduler.now());
          const rows = await database.query<Row>(onClock(sql), given).catch((error: unknown) => {
            this.#onStatement(sql, given, error instanceof Error ? error : []);
            throw error;
          });
          this.#onStatement(sql, given, rows);
          return rows;
        },
      });
    } catch (error) {
      if (error instanceof ConnectionLost && transaction !== null) transaction.broken = true;
      throw error;
    }
  }

  /** Rolls back what a dead worker has open, as the server does. */
  async abandon(): Promise<void> {
    for (const transaction of this.#open) await transaction.rollback();
    this.#open.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

// While one step is under way no other is, so a lock is not given back before the
// wait for it is over, however long that is.
function waitsFor(sql: string, parameters: readonly unknown[]): readonly unknown[] {
  if (!sql.includes("set_config('lock_timeout', $1, true)")) return parameters;
  return [parameters[0] === "100ms" ? "5ms" : parameters[0]];
}
