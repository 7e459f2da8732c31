/**
 * The first step of a two-way run: what the account holds, then both sides.
 *
 * @module
 */
import type { RemoteSchema } from "../connectors/connector.ts";
import { countLinked } from "../store/backfill_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import { stageChangedLocal } from "../store/match_store.ts";
import type { Run } from "../store/run.ts";
import { isEmpty, moveRun } from "../store/run_store.ts";
import { rememberSchema } from "../store/schema_store.ts";
import { withWholeSets } from "../store/whole_sets.ts";
import { managedSets } from "./batch_config.ts";
import {
  forgetKnownPrints,
  keepKnownPrints,
  type KnownPrints,
  readKnownPrints,
} from "./known_prints.ts";
import { LocalEmptyError } from "./local_empty_error.ts";
import { checkRemoteSchema } from "./open_sides.ts";
import { PrintSet } from "./print_set.ts";
import { readSides } from "./read_sides.ts";
import type { Slice } from "./slice.ts";
import { sideCursor } from "./stage_sides.ts";
import type { StopReason } from "./stop_reason.ts";
import { waitForAll } from "./wait_for_all.ts";

const PHASE = "Reading both sides";

/** The fingerprints side B was last seen with, on their way while other things are looked up. */
export class PrintsAhead implements AsyncDisposable {
  readonly #slice: Slice;
  readonly #known: Promise<KnownPrints>;
  #isKept = false;
  readonly prints: Promise<PrintSet>;

  /**
   * Sends for them. They are only looked at, so it does no harm if the run fails before.
   *
   * @param restarts Whether the run starts again from the list, wherever it is.
   */
  constructor(slice: Slice, run: Run, restarts: boolean) {
    const { pool, remote } = slice.deps;
    const isListed = !restarts &&
      (run.cursor["step"] !== undefined || sideCursor(run, "b").done);
    const now = remote.now();
    this.#slice = slice;
    if (isListed) forgetKnownPrints(pool);
    this.#known = isListed
      ? Promise.resolve({ prints: new PrintSet(), readAt: now })
      : readKnownPrints(pool, run, now);
    this.prints = this.#known.then(({ prints }) => prints);
    // They may fail before anybody waits for them.
    this.prints.catch(() => {});
  }

  /** Keeps what the next slice of the list needs too. */
  async keep(run: Run): Promise<void> {
    keepKnownPrints(this.#slice.deps.pool, run, await this.#known);
    this.#isKept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.prints.then((prints) => this.#isKept || prints[Symbol.dispose](), () => {});
  }
}

/** Checks what the account holds, and makes the managed names it lacks where that is allowed. */
async function complete(slice: Slice, run: Run, described: RemoteSchema): Promise<RemoteSchema> {
  const { pair: { remote, rules } } = slice.deps;
  let schema = described;
  checkRemoteSchema(slice.deps.pair, schema);
  if (run.params["dryRun"] === true || !remote.createMissing) return schema;
  for (const rule of Object.values(rules.fields)) {
    if (rule.kind !== "set") continue;
    const missing = rule.managed.filter((name) =>
      !Object.hasOwn(schema.sets[rule.remote] ?? {}, name)
    );
    if (missing.length === 0 || remote.connector.createSetNames === undefined) continue;
    schema = await remote.connector.createSetNames(slice.remote, schema, rule.remote, missing);
  }
  return schema;
}

async function compareLocal(slice: Slice, run: Run, table: LocalTable): Promise<void> {
  const { pool } = slice.deps;
  await withWholeSets(pool, (database) => stageChangedLocal(database, run, table));
  const change = { cursor: { compared: true }, phase: PHASE, requests: 0 };
  slice.committed(await moveRun(pool, run, change));
}

async function refuseEmptyLocal(slice: Slice, table: LocalTable): Promise<void> {
  const { pool, pair } = slice.deps;
  if (!(await isEmpty(pool, table.select))) return;
  const linked = await countLinked(pool, pair.name);
  if (linked > 0) throw new LocalEmptyError(linked);
}

/**
 * Looks at what the account holds and writes down that reading begins.
 *
 * One statement after the other: asked for at the same time, each would wait for a
 * connection of its own, and to open one takes ten times as long.
 */
async function begin(
  slice: Slice,
  run: Run,
): Promise<{ readonly run: Run; readonly schema: RemoteSchema | null }> {
  const { pool, pair, remote } = slice.deps;
  const { page = 0 } = run.cursor;
  if (page !== 0) return { run, schema: null };
  const schema = await complete(slice, run, await pair.remote.connector.describe(slice.remote));
  const sets = managedSets(pair, schema);
  const cursor = { fingerprint: pair.fingerprint, sets, listedAt: remote.now() };
  const begun = await moveRun(pool, run, { cursor, phase: PHASE, requests: slice.takeRequests() });
  await rememberSchema(pool, pair.name, pair.fingerprint, sets);
  return { run: begun, schema };
}

/**
 * Reads both sides, from where they were left.
 *
 * @returns The run as it went on, and why it stopped before the end, or null.
 */
export async function readStep(
  slice: Slice,
  table: LocalTable,
  run: Run,
  ahead: PrintsAhead,
): Promise<{ run: Run; stop: StopReason | null }> {
  // Before anything is read: this is where a refused key or a wrong name shows.
  await refuseEmptyLocal(slice, table);
  const { run: started, schema } = await begin(slice, run);
  const [{ stop, nameless }] = await waitForAll([
    readSides(slice, started, table, schema, ahead.prints),
    // Once a run, however many slices reading takes: it looks at every link.
    started.cursor["compared"] === true ? null : compareLocal(slice, started, table),
  ]);
  if (stop !== null) await ahead.keep(started);
  // The pages have written it into the stored cursor, and this one is from before them.
  const cursor = nameless ? { ...started.cursor, nameless } : started.cursor;
  return { run: { ...started, cursor }, stop };
}
