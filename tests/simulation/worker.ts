import type { LogFields } from "../../shared/engine/log.ts";
import type { Runtime } from "../../shared/http/runtime.ts";
import type { Actor, Scheduler } from "./scheduler.ts";
import type { SimulatedDatabase } from "./simulated_database.ts";
import { type OnStatement, WorkerDatabase } from "./worker_database.ts";

/** A line of a worker's log. */
export interface SimulatedLogLine {
  readonly worker: string;
  readonly at: number;
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** What a worker is called with. */
export interface Call {
  readonly functionName: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What came back. */
export interface CallAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What a worker needs from its world. */
export interface WorkerWorld {
  readonly scheduler: Scheduler;
  readonly database: SimulatedDatabase;
  readonly env: Readonly<Record<string, string>>;
  readonly random: () => number;
  /** Answers a request to the remote, or rejects as `fetch` does. */
  request(worker: Worker, request: Request): Promise<Response>;
  /** Answers a call of another function of the project. */
  call(request: Request): Promise<Response>;
  statement(worker: Worker, ...args: Parameters<OnStatement>): void;
  log(line: SimulatedLogLine): void;
}

/** One call of a function, in a process of its own. */
export class Worker implements Actor {
  dead = false;
  done = false;
  frozenUntil = 0;
  waits = 0;
  steps = 0;
  answer: CallAnswer | null = null;
  readonly shutdown = new AbortController();
  readonly #pool: WorkerDatabase;
  readonly #world: WorkerWorld;
  readonly #background: Promise<unknown>[] = [];
  readonly #ended = Promise.withResolvers<void>();
  /** Resolves when it is done or dead. */
  readonly ended = this.#ended.promise;

  constructor(readonly name: string, readonly call: Call, world: WorkerWorld) {
    this.#world = world;
    this.#pool = new WorkerDatabase(
      world.database,
      world.scheduler,
      this,
      (...statement) => world.statement(this, ...statement),
    );
  }

  /** Lets it begin; resolves when it has answered and nothing of it goes on in the background. */
  async start(handle: (runtime: Runtime) => Promise<Response>): Promise<void> {
    this.#world.scheduler.add(this);
    try {
      const response = await handle(this.#runtime());
      const body = await response.json();
      await Promise.all(this.#background);
      this.answer = { status: response.status, body };
    } finally {
      this.done = true;
      this.#ended.resolve();
    }
  }

  /** Ends it as a process is killed: nothing of it goes on, and its connections are gone. */
  async kill(): Promise<void> {
    this.#world.scheduler.kill(this);
    await this.#pool.abandon();
    this.#ended.resolve();
  }

  #runtime(): Runtime {
    const { scheduler, env, random } = this.#world;
    return {
      env: (name) => env[name],
      fetch: async (input, init) => {
        const request = new Request(input, init);
        if (new URL(request.url).host === "project.test") return await this.#callOther(request);
        return await scheduler.step({
          actor: this,
          kind: "request",
          what: `${request.method} ${new URL(request.url).pathname}`,
          lost: () => new TypeError("connection reset by peer"),
          run: () => this.#world.request(this, request),
        });
      },
      now: scheduler.now,
      monotonic: scheduler.now,
      sleep: (ms, signal) => scheduler.sleep(this, ms, signal),
      random,
      // The meter of the CPU ticks every few ms and would measure nothing here.
      every: (ms, call) => ms < 1000 ? () => {} : scheduler.every(this, ms, call),
      log: (level, event, fields) =>
        this.#world.log({ worker: this.name, at: scheduler.now(), level, event, fields }),
      shutdown: this.shutdown.signal,
      inBackground: (work) => void this.#background.push(work.catch(() => {})),
      database: () => this.#pool,
    };
  }

  async #callOther(request: Request): Promise<Response> {
    this.waits++;
    try {
      return await this.#world.call(request);
    } finally {
      this.waits--;
    }
  }
}
