/**
 * Both sides and the sync's tables of a two-way world as one value: to go back to,
 * and to compare the ends of two runs.
 *
 * @module
 */
import type { DatabasePool } from "../../shared/store/database.ts";
import { MailerLiteSimulator, type Switches } from "../../simulators/mailerlite/mod.ts";
import type { Harness } from "./function_harness.ts";
import { TwoWayWorld } from "./two_way_world.ts";

/** Forbidding words of both sides; whoever stands under one must never stand under another word again. */
const FORBIDS = ["unsubscribed", "bounced", "junk", "complained"];

interface SimulatorRow {
  readonly id: string;
  readonly email: string;
  readonly status: "active" | "unsubscribed" | "unconfirmed" | "bounced" | "junk";
  readonly fields: Readonly<Record<string, string | null>>;
  readonly groups: readonly { readonly name: string }[];
}

/** What both sides and the sync hold, without what differs from run to run. */
export interface TwoWayEnd {
  readonly clients: readonly unknown[];
  readonly partners: readonly unknown[];
  readonly subscribers: readonly unknown[];
  readonly links: readonly unknown[];
  readonly shadows: readonly unknown[];
  readonly conflicts: readonly unknown[];
  readonly failures: readonly unknown[];
  readonly suppressions: readonly unknown[];
  /** Intents, and rows of the stage, of what was seen and of the work list. */
  readonly leftOvers: readonly unknown[];
}

/** A moment in the life of a world. */
export class TwoWayMoment {
  readonly #world: TwoWayWorld;
  readonly #tables: readonly Table[];
  readonly #rows: readonly SimulatorRow[];
  readonly #deleted: readonly string[];
  /** Ids there were; what is made later has another one in every run. */
  readonly #ids: ReadonlySet<string>;

  private constructor(
    world: TwoWayWorld,
    tables: readonly Table[],
    clients: readonly string[],
    deletions: readonly string[],
  ) {
    this.#world = world;
    this.#tables = tables;
    this.#rows = rowsOf(world.simulator);
    this.#deleted = deletions;
    this.#ids = new Set([...clients, ...this.#rows.map(({ id }) => id)]);
  }

  /**
   * Keeps what a world holds now.
   *
   * @param deletions Addresses of subscribers that are deleted then: a deleted row
   *   is part of the account, and no list shows it.
   */
  static async keep(
    world: TwoWayWorld,
    deletions: readonly string[] = [],
  ): Promise<TwoWayMoment> {
    const tables = await keepTables(world.pool);
    const clients = await world.pool.query<{ id: string }>(
      `select id::text as id from public.clients
       union select a_id::text from public.integration_crosswalk`,
    );
    return new TwoWayMoment(world, tables, clients.map(({ id }) => id), deletions);
  }

  /** Goes back to it; the account is another object each time. */
  async restore(switches: Partial<Switches> = {}): Promise<TwoWayReplay> {
    await restoreTables(this.#world.pool, this.#tables);
    const simulator = new MailerLiteSimulator({
      limits: { enabled: false, perMinute: 120, importsPerMinute: 5 },
      switches,
    });
    simulator.seed({
      groups: ["Clients", "VIP", "Newsletter"],
      subscribers: this.#rows.map(({ id, email, status, fields, groups }) => ({
        id,
        email,
        status,
        fields,
        groups: groups.map(({ name }) => name),
      })),
    });
    for (const address of this.#deleted) simulator.remove(address);
    simulator.resetHistory();
    return new TwoWayReplay(this.#world, simulator, this.#ids);
  }
}

/** A world that was taken back, and watched: whoever forbade to be written to must not allow it again. */
export class TwoWayReplay extends TwoWayWorld {
  readonly #ids: ReadonlySet<string>;
  readonly #forbidding = new Set<string>();
  #raised = 0;

  constructor(world: TwoWayWorld, simulator: MailerLiteSimulator, ids: ReadonlySet<string>) {
    const harness: Harness = {
      ...world.harness,
      simulator,
      runtime: (overrides = {}) =>
        world.harness.runtime({
          fetch: async (input, init) => {
            const response = await simulator.handle(new Request(input, init));
            this.#look();
            return response;
          },
          ...overrides,
        }),
    };
    super(harness, world.config);
    this.#ids = ids;
    this.#look();
  }

  /** How often somebody at the remote, or on side A, was made to allow what they had forbidden. */
  async raisedConsents(): Promise<number> {
    const rows = await this.pool.query<{ n: number }>(
      `select count(*)::integer as n from test_kept.raised`,
    );
    return this.#raised + (rows[0]?.n ?? 0);
  }

  /** Creates the remote took. */
  remoteCreates(): number {
    return this.simulator.history()
      .filter(({ kind }) => kind === "subscriber.create" || kind === "subscriber.revive").length;
  }

  /** Makes every lease look like that of a worker that has been silent for an hour. */
  async ageLeases(): Promise<void> {
    await this.pool.query(
      `update public.sync_runs set heartbeat_at = now() - interval '1 hour' where status = 'running'`,
    );
  }

  async end(): Promise<TwoWayEnd> {
    return await readEnd(this.pool, this.simulator, this.#ids);
  }

  #look(): void {
    for (const { id, status } of rowsOf(this.simulator)) {
      if (FORBIDS.includes(status)) this.#forbidding.add(id);
      else if (this.#forbidding.delete(id)) this.#raised++;
    }
  }
}

function rowsOf(simulator: MailerLiteSimulator): SimulatorRow[] {
  return [...simulator.readAllJson()].map((text) => JSON.parse(text) as SimulatorRow);
}

/** A table and its columns as they are inserted. */
interface Table {
  readonly name: string;
  readonly columns: string;
}

async function keepTables(pool: DatabasePool): Promise<Table[]> {
  const tables = await pool.query<Table>(
    `select quote_ident(c.relname) as name, string_agg(quote_ident(a.attname), ', ') as columns
     from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       and a.attgenerated = ''
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
     group by 1 order by 1`,
  );
  const forbids = FORBIDS.map((word) => `'${word}'`).join(", ");
  await pool.query(`
    create schema test_kept;
    create table test_kept.raised ();
    create function test_kept.note_raised() returns trigger language plpgsql as $$
    begin
      insert into test_kept.raised default values;
      return null;
    end $$;
    create trigger test_note_raised after update on public.clients for each row
      when (old.marketing_status in (${forbids}) and new.marketing_status not in (${forbids}))
      execute function test_kept.note_raised();
    ${
    tables.map(({ name }) => `create table test_kept.${name} as table public.${name};`).join("")
  }`);
  return tables;
}

// Deleted and not truncated, which makes new files: the tables hold a few dozen rows.
async function restoreTables(pool: DatabasePool, tables: readonly Table[]): Promise<void> {
  const each = tables.map(({ name, columns }) =>
    `delete from public.${name};
     insert into public.${name} (${columns}) overriding system value
       select ${columns} from test_kept.${name};`
  );
  await pool.query(`
    begin;
    set local session_replication_role = replica;
    ${each.join("")}
    delete from test_kept.raised;
    commit`);
}

async function readEnd(
  pool: DatabasePool,
  simulator: MailerLiteSimulator,
  known: ReadonlySet<string>,
): Promise<TwoWayEnd> {
  const rows = await pool.query<{ end: Omit<TwoWayEnd, "subscribers"> }>(
    `with link as (
       select cw.id, case when cw.a_id::text = any ($1) then cw.a_id::text else 'new' end
         || ' = ' || case when cw.b_id = any ($1) then cw.b_id else 'new' end
         || coalesce(' for ' || (s.a ->> 'email'), '') as name, cw.link_state
       from public.integration_crosswalk cw
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     ),
     named as (select 'cw:' || id as key, name from link)
     select jsonb_build_object(
       'clients', (select jsonb_agg(x order by x) from (
         select jsonb_build_array(email, case when id::text = any ($1) then id::text else 'new' end,
           first_name, last_name, company, phone, city, country, partner_id, marketing_status,
           groups) as x from public.clients) q),
       'partners', (select jsonb_agg(jsonb_build_array(id, name, email, company) order by id)
         from public.partners),
       'links', (select jsonb_agg(jsonb_build_array(name, link_state) order by name) from link),
       'shadows', (select jsonb_agg(
           jsonb_build_array(link.name, s.a, s.b, s.settled, s.a_token, s.b_token) order by link.name)
         from public.shadow_snapshots s join link on link.id = s.crosswalk_id),
       'conflicts', (select jsonb_agg(x order by x) from (
         select jsonb_build_array(coalesce(named.name, c.record_key), c.field, c.base, c.a, c.b,
           c.reason) as x
         from public.sync_conflicts c left join named on named.key = c.record_key
         where c.status = 'open') q),
       'failures', (select jsonb_agg(x order by x) from (
         select jsonb_build_array(coalesce(named.name, f.record_key), f.code, f.runs, f.a_token,
           f.b_token) as x
         from public.sync_failures f left join named on named.key = f.record_key) q),
       'suppressions', (select jsonb_agg(jsonb_build_array(key_digest, consent) order by key_digest)
         from public.sync_suppressions),
       'leftOvers', (select coalesce(jsonb_agg(x), '[]') from (
         select jsonb_build_array('intent', operation) as x from public.sync_intents
         union all select jsonb_build_array('stage', side, state) from public.sync_stage
         union all select jsonb_build_array('seen', page) from public.sync_seen
         union all select jsonb_build_array('work', kind) from public.sync_work) q)
     ) as end`,
    [[...known]],
  );
  const [row] = rows;
  if (row === undefined) throw new Error("Cannot read the end state: no row");
  const subscribers = rowsOf(simulator)
    .map(({ id, email, status, fields, groups }) => [
      email,
      known.has(id) ? id : "new",
      status,
      fields,
      groups.map(({ name }) => name).sort(),
    ])
    .sort(([one], [other]) => String(one) < String(other) ? -1 : 1);
  return { ...row.end, subscribers };
}
