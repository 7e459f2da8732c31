/** Raised where work was under way when somebody pressed Ctrl-C. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  constructor(readonly signal: Deno.Signal) {
    super(`Cannot go on: stopped by ${signal}`);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Turns Ctrl-C into an error at the step that is under way, so that everything is tidied up on the way out. */
export class Interrupt implements Disposable {
  #signal: Deno.Signal | undefined;
  readonly #asked = Promise.withResolvers<never>();
  readonly #listeners = SIGNALS.map((signal) => {
    const listener = () => {
      this.#signal ??= signal;
      this.#asked.reject(new InterruptedError(signal));
    };
    Deno.addSignalListener(signal, listener);
    return [signal, listener] as const;
  });

  constructor() {
    // Not yet waited for when a signal comes between two steps.
    this.#asked.promise.catch(() => {});
  }

  /** The signal that came, if one did. A terminal sends it to the servers too, so steps may fail of it first. */
  get signal(): Deno.Signal | undefined {
    return this.#signal;
  }

  /** The result of the step. @throws {InterruptedError} as soon as a signal comes */
  async race<T>(step: Promise<T>): Promise<T> {
    // What the step throws after the signal, when its servers are gone, interests nobody.
    step.catch(() => {});
    return await Promise.race([this.#asked.promise, step]);
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }
}
