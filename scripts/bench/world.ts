/** What the measurements stand on: one PostgreSQL server, one simulator, and a database to clone for every run. */
import { ControlClient } from "../../simulators/mailerlite/control_client.ts";
import type { Switches } from "../../simulators/mailerlite/switches.ts";
import { type Database, openDatabase } from "../../shared/store/database.ts";
import { loadClients } from "../sample/load_clients.ts";
import { samplePeople, type SampleSize } from "../sample/sample_people.ts";
import { startPostgres } from "../stack/postgres.ts";
import { execute, prepareDatabase } from "../stack/prepare_database.ts";
import { type SimulatorProcess, startSimulator } from "../stack/simulator.ts";

/** A world that runs start from. */
export interface World extends AsyncDisposable {
  readonly size: SampleSize;
  readonly simulator: SimulatorProcess;
  readonly control: ControlClient;
  /** PostgreSQL's own words on its version. */
  readonly postgresVersion: string;
  /** A copy of the database as it was before any run, with its statistics; dropped when disposed of. */
  clone(): Promise<Clone>;
}

/** A database that one run has to itself. */
export interface Clone extends AsyncDisposable {
  readonly url: string;
}

/** How to make a world. */
export interface WorldOptions {
  readonly size: SampleSize;
  readonly switches?: Partial<Switches>;
  /** Statements for the template, after the clients are loaded. */
  readonly setup?: string;
  readonly onProgress?: (text: string) => void;
}

const TEMPLATE = "bench_template";

/**
 * People of each kind around the pairs: few, so that the pages stay as many as the pairs need.
 *
 * @param pairs Clients with exactly one subscriber each.
 */
export function sizeFor(pairs: number): SampleSize {
  return {
    pairs,
    sharedAddresses: 12,
    onlyLocal: 9,
    onlyRemote: 7,
    drift: Math.min(180, Math.floor(pairs / 100)),
  };
}

/** Starts the servers and fills both sides. Rate limits of the simulator are off. */
export async function openWorld(options: WorldOptions): Promise<World> {
  await using started = new AsyncDisposableStack();
  const say = options.onProgress ?? (() => {});
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-bench-",
    ...(Deno.uid() === 0 ? { dir: "/tmp" } : {}),
  });
  await Deno.chmod(folder, 0o755);
  started.defer(() => Deno.remove(folder, { recursive: true }));

  say("starting PostgreSQL and the simulator");
  const postgres = started.use(
    await startPostgres({ dataFolder: `${folder}/postgres`, durable: false }),
  );
  const simulator = started.use(
    await startSimulator(`${folder}/simulator.log`, ["--no-limits"]),
  );
  const control = new ControlClient(simulator.url);
  if (options.switches !== undefined) await control.setSwitches(options.switches);

  const people = samplePeople(options.size);
  say(`making ${options.size.pairs} pairs`);
  await control.seed({ groups: people.groups, fields: people.fields });
  await control.seedMany(people.subscribers());
  await execute(postgres.url(), `create database ${TEMPLATE}`);
  await prepareDatabase(postgres.url(TEMPLATE));
  let postgresVersion = "";
  {
    await using template = openDatabase({ url: postgres.url(TEMPLATE), name: "bench" });
    await loadClients(template, people);
    if (options.setup !== undefined) await execute(postgres.url(TEMPLATE), options.setup);
    postgresVersion = await versionOf(template);
  }

  let clones = 0;
  const owned = started.move();
  return {
    size: options.size,
    simulator,
    control,
    postgresVersion,
    async clone() {
      const name = `bench_run_${++clones}`;
      await execute(postgres.url(), `create database ${name} template ${TEMPLATE}`);
      // So that no run pays for writing out what the copy left in the buffers.
      await execute(postgres.url(), "checkpoint");
      return {
        url: postgres.url(name),
        [Symbol.asyncDispose]: () => execute(postgres.url(), `drop database ${name} with (force)`),
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function versionOf(database: Database): Promise<string> {
  const rows = await database.query<{ version: string }>(
    "select current_setting('server_version') as version",
  );
  return rows[0]?.version ?? "unknown";
}
