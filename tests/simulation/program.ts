/**
 * The random part of a seed: calls, users, faults, kills and the time between
 * them; then the calm in which everything has to come to rest.
 *
 * @module
 */
import type { FaultEffect, FaultRule } from "../../simulators/mailerlite/mod.ts";
import { anyCall, DRAIN, FULL_RUN, laneOf, startCall } from "./calls.ts";
import { checkCalm, checkForesight } from "./check_calm.ts";
import { checkAnswer, checkShadows, checkWorkers } from "./checks.ts";
import type { Fate, Step } from "./scheduler.ts";
import { Users } from "./users.ts";
import { Webhooks } from "./webhooks.ts";
import type { Call, Worker, WorkerWorld } from "./worker.ts";
import type { World } from "./world.ts";

/** When a worker is killed or stopped, in steps of its own. */
interface Doom {
  readonly at: number;
  readonly kind: "kill" | "freeze" | "shutdown";
  readonly moment: "before" | "after";
  readonly ms: number;
}

/** Things that people do once nothing fails any more. */
const QUIET_EDITS = 12;

/** The life of a world. */
export class Program {
  readonly #world: World;
  readonly #users: Users;
  readonly #webhooks: Webhooks;
  readonly #dooms = new Map<Worker, Doom>();
  /** By the direction they were given for. */
  readonly #cursors = new Map<string, string[]>();
  readonly #heard = new Set<Worker>();
  readonly #workerWorld: WorkerWorld;
  /** Clients that were made at the remote just now, with an answer that nobody got. */
  #unheard: readonly string[] = [];
  #linksChanged = false;

  constructor(world: World) {
    this.#world = world;
    this.#users = new Users(world);
    this.#workerWorld = {
      scheduler: world.scheduler,
      database: world.database,
      env: world.env,
      random: world.dice.random,
      request: (worker, request) => this.#request(worker, request),
      call: (request) => this.#callOther(request),
      statement: (worker, sql, parameters, rows) =>
        this.#noteStatement(worker, sql, parameters, rows),
      log: (line) => void world.log.push(line),
    };
    this.#webhooks = new Webhooks(world);
  }

  /** Fills both sides and lets things happen. */
  async storm(): Promise<void> {
    const { weather, dice } = this.#world;
    await this.#users.begin();
    await this.#webhooks.listen();
    if (weather.backfill) {
      this.#world.stormy = false;
      await this.#runAlone({ functionName: "backfill-sync", body: { wait: true } });
      this.#world.stormy = true;
    }
    while (this.#world.step < weather.length) {
      const isEvent = dice.chance(weather.eventShare);
      if (isEvent || !await this.#turn()) await this.#event(isEvent);
    }
  }

  /** Stops whatever fails, and lets everything come to rest. */
  async calm(): Promise<void> {
    const world = this.#world;
    world.stormy = false;
    world.tell("calm");
    for (const worker of world.scheduler.living()) worker.frozenUntil = 0;
    this.#dooms.clear();
    await this.#finishAll();
    world.scheduler.advance(3_600_000);
    for (let round = 0; round < 3; round++) {
      const { answer } = await this.#runAlone(DRAIN);
      world.scheduler.advance(3_600_000);
      if (answer?.body["count"] === 0) break;
    }
    await this.#fullRun();
    for (let n = 0; n < QUIET_EDITS; n++) await this.#act();
    await checkForesight(world, {
      dry: () => this.#runAlone({ ...FULL_RUN, body: { ...FULL_RUN.body, dryRun: true } }),
      real: () => this.#runAlone(FULL_RUN),
    });
    // A dead letter takes three runs, and who waited for its key three more.
    for (let round = 1; round <= 7; round++) await this.#fullRun();
    await checkWorkers(world);
    await checkCalm(world, async () => void await this.#fullRun());
  }

  /** Ends whoever is still at work. */
  async abandon(): Promise<void> {
    for (const worker of this.#world.workers) if (!worker.done) await worker.kill();
  }

  async #fullRun(): Promise<void> {
    for (let calls = 0; calls < 40; calls++) {
      const { answer } = await this.#runAlone(FULL_RUN);
      if (answer?.body["done"] === true) return;
      if (answer?.body["stopReason"] === "guard") continue;
      this.#world.scheduler.advance(120_000);
    }
    this.#world.violate(
      "liveness: everything comes to an end once nothing fails",
      `a full run was not done after 40 calls: ${
        JSON.stringify(this.#world.workers.at(-1)?.answer?.body["code"] ?? null)
      }`,
    );
  }

  async #runAlone(call: Call): Promise<Worker> {
    const worker = startCall(this.#world, this.#workerWorld, call);
    this.#world.undisturbed.add(worker);
    this.#world.tell(`${worker.name} ${call.functionName} ${bodyOf(call)}`);
    await this.#finishAll();
    return worker;
  }

  async #finishAll(): Promise<void> {
    while (await this.#turn());
  }

  /** Lets a worker take its next step; false if nobody is at work. */
  async #turn(): Promise<boolean> {
    const { scheduler, dice } = this.#world;
    await scheduler.settle();
    await this.#hear();
    const step = dice.one(scheduler.ready());
    if (step !== undefined) {
      await this.#take(step);
      return true;
    }
    if (scheduler.living().length === 0) return false;
    if (scheduler.skip() || await scheduler.awaitParked()) return true;
    throw new Error("Cannot go on: every worker waits and nobody will wake it");
  }

  async #event(isBetween: boolean): Promise<void> {
    const { scheduler, dice, weather } = this.#world;
    await scheduler.settle();
    if (scheduler.living().length < weather.workers && dice.chance(isBetween ? 0.15 : 0.5)) {
      this.#start(anyCall(this.#world, this.#cursors));
    } else await this.#happen();
  }

  #start(call: Call): void {
    const { weather, dice } = this.#world;
    const worker = startCall(this.#world, this.#workerWorld, call);
    this.#world.tell(`${worker.name} ${call.functionName} ${bodyOf(call)}`);
    const at = dice.chance(0.5) ? dice.whole(1, 15) : dice.whole(1, 60);
    const moment = dice.of("before", "after");
    if (dice.chance(weather.killShare)) {
      this.#dooms.set(worker, { at, kind: "kill", moment, ms: 0 });
    } else if (dice.chance(weather.freezeShare)) {
      const ms = dice.of(10_000, 100_000, 100_000, 700_000);
      this.#dooms.set(worker, { at, kind: "freeze", moment, ms });
    } else if (dice.chance(0.08)) {
      this.#dooms.set(worker, { at, kind: "shutdown", moment, ms: 0 });
    }
  }

  /** Something that is no step of a worker. */
  async #happen(): Promise<void> {
    const { dice, scheduler, weather } = this.#world;
    const what = dice.weighted({
      user: 20,
      webhooks: 4,
      time: 3,
      drain: this.#webhooks.isWanted ? 5 : 0,
    });
    switch (what) {
      case "webhooks":
        return await this.#webhooks.pump();
      case "time": {
        const ms = dice.of(1_000, 20_000, 100_000, 100_000, 700_000, 90_000_000);
        this.#world.tell(`time ${ms}`);
        scheduler.advance(ms);
        scheduler.wake();
        return;
      }
      case "drain":
        this.#webhooks.isWanted = false;
        if (scheduler.living().length < weather.workers) this.#start(DRAIN);
        return;
      default:
        await this.#act();
    }
  }

  async #act(): Promise<void> {
    this.#world.tell("user");
    this.#world.add(await this.#users.act());
  }

  async #take(step: Step): Promise<void> {
    const { scheduler, dice, weather, workers } = this.#world;
    const worker = workers.find((each) => each === step.actor);
    if (worker === undefined) return;
    const doom = this.#dooms.get(worker);
    const isDoomed = doom !== undefined && worker.steps + 1 >= doom.at &&
      !scheduler.isParked(worker);
    this.#world.tell(`${worker.name} ${step.kind} ${shorten(step.what)}`);
    if (isDoomed && doom.moment === "before") return await this.#befall(worker, doom);
    // There are ten statements to a request, and nothing is worse to lose than a commit.
    const share = step.kind === "statement" ? weather.faultShare / 5 : weather.faultShare;
    const fate = this.#world.stormy && dice.chance(share)
      ? dice.of<Fate>("lost_before", "lost_after")
      : "normal";
    if (fate !== "normal") this.#world.add(fate);
    if (fate === "lost_after" && step.kind === "commit") {
      this.#world.reach("a commit went through and its answer was lost");
    }
    if (step.kind === "request") scheduler.advance(dice.whole(1, weather.latencyMs));
    await scheduler.perform(step, fate);
    if (scheduler.isParked(worker)) this.#world.reach("a statement waited for another's lock");
    await this.#absorb(step.kind === "commit");
    if (step.what.includes("insert into public.sync_intents")) this.#interfere(worker);
    await this.#moveOn();
    if (step.kind === "request") scheduler.wake();
    if (isDoomed && !scheduler.isParked(worker)) await this.#befall(worker, doom);
  }

  /** Somebody is faster than a worker that has read everything it wants to know. */
  #interfere(worker: Worker): void {
    const { dice, remote, stormy } = this.#world;
    const intent = dice.one(remote.knowledgeOf(worker).intents);
    if (!stormy || intent?.bId === null || intent === undefined || !dice.chance(0.5)) return;
    this.#world.tell(this.#users.interfere(intent.bId, intent.aId));
  }

  /** Somebody edits who was made without an answer, before anybody can look for the record. */
  async #moveOn(): Promise<void> {
    if (this.#unheard.length === 0) return;
    const id = this.#world.dice.one(this.#unheard);
    this.#unheard = [];
    if (id === undefined || this.#world.dice.chance(0.5)) return;
    this.#world.tell(await this.#users.moveOn(id));
  }

  async #absorb(isCommit: boolean): Promise<void> {
    if (this.#linksChanged || isCommit) await this.#world.readLinks();
    this.#linksChanged = false;
    if (!isCommit) return;
    await this.#world.local.absorb();
    await checkShadows(this.#world);
  }

  async #befall(worker: Worker, doom: Doom): Promise<void> {
    this.#dooms.delete(worker);
    this.#world.add(`${worker.name} ${doom.kind}`);
    if (doom.kind === "kill") await worker.kill();
    else if (doom.kind === "shutdown") worker.shutdown.abort();
    else worker.frozenUntil = this.#world.scheduler.now() + doom.ms;
  }

  async #request(worker: Worker, request: Request): Promise<Response> {
    const { dice, weather, remote, stormy } = this.#world;
    const fault = stormy && dice.chance(weather.faultShare * 3) ? this.#fault(request) : null;
    if (fault !== null) {
      this.#world.add(`fault ${JSON.stringify(fault.effect)} ${fault.item ?? false}`);
    }
    if (stormy && dice.chance(weather.faultShare / 2)) {
      // As Deno's fetch does by itself when a reused connection is reset.
      this.#world.reach("a request was repeated below the client");
      await remote.answer(worker, request.clone(), null).catch(() => {});
    }
    const response = await remote.answer(worker, request, fault);
    // What nobody may do twice is what a lost answer is worst for.
    const creates = remote.knowledgeOf(worker).intents.filter(({ operation }) =>
      operation === "create"
    );
    if (
      stormy && creates.length > 0 && request.method === "POST" &&
      dice.chance(weather.faultShare * 6)
    ) {
      this.#world.add("answer of a create lost");
      this.#unheard = creates.flatMap(({ aId }) => aId ?? []);
      throw new TypeError("connection reset by peer");
    }
    return response;
  }

  #fault(request: Request): FaultRule {
    const { dice } = this.#world;
    const isBatch = new URL(request.url).pathname.endsWith("/batch");
    if (isBatch && dice.chance(0.5)) {
      const effect = dice.of<FaultEffect>(
        { kind: "status", status: 500 },
        { kind: "status", status: 503, when: "after" },
        { kind: "status", status: 422, body: { message: "x", errors: { "fields.city": ["x"] } } },
        { kind: "rate_limit", retryAfter: 3 },
        { kind: "html", status: 502, when: "after" },
      );
      return { item: true, after: dice.whole(0, 4), times: dice.whole(1, 2), effect };
    }
    const isContinued = request.url.includes("cursor=");
    const effect = isContinued && dice.chance(0.4)
      ? { kind: "status" as const, status: 422 }
      : dice.of<FaultEffect>(
        { kind: "status", status: 500 },
        { kind: "status", status: 503, when: "after" },
        { kind: "html", status: 200 },
        { kind: "html", status: 502, when: "after" },
        { kind: "truncate" },
        { kind: "truncate", bytes: 3 },
        { kind: "rate_limit", retryAfter: dice.of(5, 150) },
        { kind: "status", status: 401 },
      );
    return { times: 1, effect };
  }

  async #callOther(request: Request): Promise<Response> {
    const functionName = new URL(request.url).pathname.split("/").at(-1) ?? "";
    const body = await request.json();
    const worker = startCall(this.#world, this.#workerWorld, { functionName, body });
    this.#world.tell(`${worker.name} ${functionName} by another`);
    await worker.ended;
    if (worker.answer === null) throw new TypeError("connection reset by peer");
    return Response.json(worker.answer.body, { status: worker.answer.status });
  }

  #noteStatement(
    worker: Worker,
    sql: string,
    parameters: readonly unknown[],
    rows: readonly unknown[] | Error,
  ): void {
    const world = this.#world;
    if (rows instanceof Error) {
      world.add(
        `${worker.name} database error ${String(Reflect.get(rows, "code"))} ${rows.message}`,
      );
      return;
    }
    const { remote, step } = world;
    if (world.leases.note(worker, sql, parameters, rows)) {
      world.violate(
        "a worker that lost its lease commits nothing",
        `${worker.name}: ${shorten(sql)}`,
      );
    }
    if (/(?:insert into|update|delete from) public\.integration_crosswalk/.test(sql)) {
      this.#linksChanged = true;
    }
    if (sql.includes("insert into public.sync_intents")) {
      remote.knowledgeOf(worker).intents = JSON.parse(String(parameters[2]));
    } else if (sql.includes("from item w")) remote.knowledgeOf(worker).loadedAt = step;
    else if (sql.includes("pg_try_advisory_xact_lock") && sql.includes("sync_record:")) {
      const keys = parameters[1];
      if (Array.isArray(keys) && rows.length < new Set(keys).size) {
        world.reach("a record was locked by another worker");
      }
    } else if (/(?<!delete )from public\.sync_intents i\s/.test(sql) && rows.length > 0) {
      world.reach("an intent was left over");
    }
  }

  /** Notes what has come back since the last call. */
  async #hear(): Promise<void> {
    for (const worker of this.#world.workers) {
      if (this.#heard.has(worker) || !worker.done && !worker.dead) continue;
      this.#heard.add(worker);
      const { answer } = worker;
      const code = answer?.body["code"] ?? answer?.body["stopReason"] ?? "";
      this.#world.add(`${worker.name} ended ${answer?.status ?? "dead"} ${code}`);
      const cursor = answer?.body["nextCursor"];
      if (typeof cursor === "string") {
        const lane = laneOf(worker.call.body);
        this.#cursors.set(lane, [...this.#cursors.get(lane) ?? [], cursor]);
      }
      await checkAnswer(this.#world, worker);
    }
  }
}

function bodyOf({ body }: Call): string {
  const { emails, cursor, ...rest } = body;
  const more = [
    ...(Array.isArray(emails) ? [`${emails.length} named`] : []),
    ...(cursor === undefined ? [] : ["with a cursor"]),
  ];
  return [JSON.stringify(rest), ...more].join(" ");
}

function shorten(sql: string): string {
  return sql.replaceAll(/\s+/g, " ").slice(0, 60);
}
