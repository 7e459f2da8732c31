/**
 * Runs any number of workers, one step at a time: a statement, the beginning or
 * end of a transaction, a request. Which of the steps that wait is taken next is
 * up to the caller, so the same choices make the same history.
 *
 * @module
 */
// Not setTimeout: it waits a whole millisecond, thousands of times a seed.
import { setImmediate } from "node:timers";

/** What a step is. */
export type StepKind = "statement" | "begin" | "commit" | "rollback" | "request";

/** A worker as the scheduler sees it. */
export interface Actor {
  readonly name: string;
  /** Killed: nothing of it goes on, and nothing is answered to it. */
  dead: boolean;
  done: boolean;
  /** Until when nothing of it goes on, in ms since 1970. */
  frozenUntil: number;
  /** Answers of other workers that it waits for. */
  waits: number;
  /** Steps it has taken. */
  steps: number;
}

/** A step as it is asked for. */
export interface StepRequest<Answer> {
  readonly actor: Actor;
  readonly kind: StepKind;
  /** The statement, or the request's method and path. */
  readonly what: string;
  /** Whether it gives up by itself when it has to wait for a lock. */
  readonly impatient?: boolean;
  readonly run: () => Promise<Answer>;
  /** What it throws where its connection is lost. */
  readonly lost: () => Error;
}

/** A step that waits for its turn. */
export interface Step extends Omit<StepRequest<unknown>, "run"> {
  /** Order of arrival. */
  readonly order: number;
}

/** What becomes of a step: taken, or its connection lost before or after it took effect. */
export type Fate = "normal" | "lost_before" | "lost_after";

/** Tells the worker what came of its step. */
type Deliver = () => void;

interface Waiting extends Step {
  readonly take: () => Promise<Deliver>;
  readonly lose: Deliver;
}

interface Parked {
  readonly step: Waiting;
  readonly work: Promise<Deliver>;
  deliver: Deliver | null;
}

interface Timer {
  readonly actor: Actor;
  at: number;
  readonly order: number;
  /** null for a sleep. */
  readonly every: number | null;
  readonly fire: () => void;
}

/** How long real time may pass before a worker that does nothing counts as stuck, in ms. */
const PATIENCE_MS = 20_000;

/** The workers of a simulation, their steps and their time. */
export class Scheduler {
  #now: number;
  #order = 0;
  #waiting: Waiting[] = [];
  #parked: Parked[] = [];
  #timers: Timer[] = [];
  readonly #actors = new Set<Actor>();
  readonly #countBlocked: () => Promise<number>;

  /**
   * @param now Milliseconds since 1970 to begin with.
   * @param countBlocked Connections that wait for a lock at this moment.
   */
  constructor(now: number, countBlocked: () => Promise<number>) {
    this.#now = now;
    this.#countBlocked = countBlocked;
  }

  /** Milliseconds since 1970. */
  readonly now = (): number => this.#now;

  /** Lets time pass. */
  advance(ms: number): void {
    this.#now += ms;
  }

  add(actor: Actor): void {
    this.#actors.add(actor);
  }

  /** Workers that are neither dead nor done. */
  living(): Actor[] {
    return [...this.#actors].filter(({ dead, done }) => !dead && !done);
  }

  /** Asks for a step; resolves when it was taken, and never if its worker is dead. */
  async step<Answer>(request: StepRequest<Answer>): Promise<Answer> {
    if (request.actor.dead) return await never();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { run, ...label } = request;
    this.#waiting.push({
      ...label,
      order: ++this.#order,
      take: async () => {
        try {
          const answer = await run();
          return () => resolve(answer);
        } catch (error) {
          return () => reject(error);
        }
      },
      lose: () => reject(label.lost()),
    });
    return await promise;
  }

  /** Sleeps for `ms` of this clock, or until the signal aborts. */
  sleep(actor: Actor, ms: number, signal?: AbortSignal): Promise<void> {
    if (actor.dead) return never();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#addTimer(actor, Math.max(ms, 0), null, resolve);
    const leave = () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
      resolve();
    };
    if (signal?.aborted) leave();
    else signal?.addEventListener("abort", leave, { once: true });
    return promise;
  }

  /** Calls again and again; returns how to end it. */
  every(actor: Actor, ms: number, call: () => void): () => void {
    const timer = this.#addTimer(actor, ms, ms, call);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  #addTimer(actor: Actor, ms: number, every: number | null, fire: () => void): Timer {
    const timer = { actor, at: this.#now + ms, order: ++this.#order, every, fire };
    this.#timers.push(timer);
    return timer;
  }

  /** Waits until every worker has come to a point from which only the scheduler lets it go on. */
  async settle(): Promise<void> {
    let patience = 0;
    for (let turns = 0;; turns++) {
      for (let turn = 0; turn < 4; turn++) await tick();
      const busy = this.living().find((actor) => this.#isAtWork(actor));
      if (busy === undefined) return;
      if (turns < 50) continue;
      patience ||= performance.now() + PATIENCE_MS;
      if (performance.now() > patience) {
        throw new Error(`Cannot go on: worker ${busy.name} waits for nothing and does not end`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #isAtWork(actor: Actor): boolean {
    return actor.waits === 0 && ![
      this.#waiting,
      this.#parked.map(({ step }) => step),
      this.#timers.filter(({ every }) => every === null),
    ].some((list) => list.some((entry) => entry.actor === actor));
  }

  /** Steps that may be taken now, in order of arrival. */
  ready(): Step[] {
    return this.#waiting.filter(({ actor }) => !actor.dead && actor.frozenUntil <= this.#now);
  }

  /** Whether a worker has a statement under way that waits for another's lock. */
  isParked(actor: Actor): boolean {
    return this.#parked.some(({ step }) => step.actor === actor);
  }

  /** Takes a step. One that has to wait for a lock is left waiting. */
  async perform(chosen: Step, fate: Fate = "normal"): Promise<void> {
    const step = this.#waiting.find(({ order }) => order === chosen.order);
    if (step === undefined) throw new Error("Cannot take the step: it is not waiting");
    this.#waiting = this.#waiting.filter((other) => other !== step);
    step.actor.steps++;
    if (fate === "lost_before") return step.lose();
    const work = step.take();
    const deliver = step.impatient === true ? await work : await this.#unlessBlocked(work);
    if (deliver === null) {
      const parked: Parked = { step, work, deliver: null };
      work.then((deliver) => parked.deliver = deliver);
      this.#parked.push(parked);
    } else if (fate === "normal") deliver();
    else step.lose();
    await this.#reviewParked();
  }

  async #unlessBlocked(work: Promise<Deliver>): Promise<Deliver | null> {
    for (;;) {
      const soon = await Promise.race([work, wait(5)]);
      if (soon !== null) return soon;
      // Who has got the lock by now and was not told yet does not wait any more.
      const waiting = this.#parked.filter(({ deliver }) => deliver === null).length;
      if (await this.#countBlocked() > waiting) return null;
    }
  }

  /** Answers the steps that waited for a lock and have it by now. */
  async #reviewParked(): Promise<void> {
    if (this.#parked.length === 0) return;
    for (;;) {
      const blocked = this.#parked.filter(({ deliver }) => deliver === null);
      if (await this.#countBlocked() >= blocked.length) break;
      await wait(1);
    }
    await tick();
    const done = this.#parked.filter(({ deliver }) => deliver !== null);
    this.#parked = this.#parked.filter(({ deliver }) => deliver === null);
    for (const { deliver } of done) deliver?.();
  }

  /** Waits for a lock to be given, where nobody can do anything else. */
  async awaitParked(): Promise<boolean> {
    const [first] = this.#parked;
    if (first === undefined) return false;
    await Promise.race(this.#parked.map(({ work }) => work));
    await this.#reviewParked();
    return true;
  }

  /** Lets nothing of a worker go on any more. */
  kill(actor: Actor): void {
    actor.dead = true;
    this.#waiting = this.#waiting.filter((step) => step.actor !== actor);
    this.#timers = this.#timers.filter((timer) => timer.actor !== actor);
  }

  /** Wakes whose time has come; true if there was somebody. */
  wake(): boolean {
    const due = this.#timers
      .filter((timer) => this.#wakeOf(timer) <= this.#now)
      .sort((one, other) => one.at - other.at || one.order - other.order);
    for (const timer of due) {
      if (timer.every === null) this.#timers = this.#timers.filter((other) => other !== timer);
      else timer.at = this.#now + timer.every;
      timer.fire();
    }
    return due.length > 0;
  }

  /** Lets time pass until something happens by itself; false if nothing will. */
  skip(): boolean {
    const living = new Set(this.living());
    const times = [
      ...this.#timers.filter(({ actor, every }) => every === null && living.has(actor))
        .map((timer) => this.#wakeOf(timer)),
      ...this.#waiting.filter(({ actor }) => living.has(actor))
        .map(({ actor }) => actor.frozenUntil),
    ];
    if (times.length === 0) return false;
    this.#now = Math.max(this.#now, Math.min(...times));
    this.wake();
    return true;
  }

  #wakeOf({ at, actor }: Timer): number {
    return Math.max(at, actor.frozenUntil);
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function wait(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms));
}
