/**
 * A real database whose clock and ids belong to the simulation, which notes what
 * the sync writes on side A, and which can be taken back to its beginning.
 *
 * @module
 */
// @ts-types="npm:@types/pg@8.23.1"
import type pg from "pg";
import { type DatabasePool, openDatabase } from "../../shared/store/database.ts";
import { testDatabase } from "../lib/database.ts";

/** A row of side A as its table holds it. */
export type Row = Readonly<Record<string, unknown>>;

/** One row of side A that was written, by whomever. */
export interface LocalChange {
  readonly tbl: "clients" | "partners";
  readonly id: string;
  readonly old: Row | null;
  readonly new: Row | null;
  /** Name of the worker; null where a user wrote. */
  readonly worker: string | null;
  /** Of a deleted client, what the shadow held at that moment. */
  readonly base: Row | null;
}

// The clock is a sequence: it is no part of any transaction, so all connections
// see it the moment it is set.
const PREPARE = `
create schema sim;
create sequence sim.clock;
create sequence sim.uuids;
create function sim.now() returns timestamptz language sql stable
  as $$ select to_timestamp(last_value / 1000.0) from sim.clock $$;
create function sim.uuid() returns uuid language sql volatile as $$
  select overlay(overlay(md5('sim' || nextval('sim.uuids')) placing '4' from 13) placing '8' from 17)::uuid
$$;
create table sim.changes (
  seq bigint generated always as identity primary key,
  tbl text, id uuid, old jsonb, new jsonb, worker text, base jsonb
);
create function sim.note() returns trigger language plpgsql as $$
declare
  v_base jsonb;
begin
  if tg_op = 'UPDATE' and to_jsonb(old) - 'updated_at' = to_jsonb(new) - 'updated_at' then
    return null;
  end if;
  if tg_op = 'DELETE' and tg_table_name = 'clients' then
    select s.a into v_base
    from public.integration_crosswalk cw join public.shadow_snapshots s on s.crosswalk_id = cw.id
    where cw.a_id = old.id and cw.link_state <> 'keep_apart';
  end if;
  insert into sim.changes (tbl, id, old, new, worker, base)
  values (tg_table_name, case when tg_op = 'DELETE' then old.id else new.id end,
    case when tg_op <> 'INSERT' then to_jsonb(old) end,
    case when tg_op <> 'DELETE' then to_jsonb(new) end,
    case when current_setting('sync.writer', true) = 'on'
      then coalesce(current_setting('sim.worker', true), '?') end,
    v_base);
  return null;
end $$;
alter table public.clients add column notes text,
  add constraint sim_house_rule check (city not like '%barred');
create trigger sim_note after insert or update or delete on public.clients
  for each row execute function sim.note();
create trigger sim_note after insert or update or delete on public.partners
  for each row execute function sim.note();
do $$
declare
  r record;
begin
  for r in select p.oid from pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'sync_private'::regnamespace)
      and p.prosrc ~ '(now|clock_timestamp|gen_random_uuid)\\(\\)|lock_timeout' loop
    -- While a user acts nobody else does, so that no lock is given back meanwhile.
    execute regexp_replace(regexp_replace(replace(pg_get_functiondef(r.oid),
      '''lock_timeout'', ''3s''', '''lock_timeout'', ''5ms'''),
      '\\m(now|clock_timestamp)\\(\\)', 'sim.now()', 'g'), 'gen_random_uuid\\(\\)', 'sim.uuid()', 'g');
  end loop;
  for r in select table_name as t, column_name as c, column_default as d
    from information_schema.columns
    where table_schema = 'public' and column_default ~ '^(now|gen_random_uuid)\\(\\)$' loop
    execute format('alter table public.%I alter %I set default %s', r.t, r.c,
      case when r.d = 'now()' then 'sim.now()' else 'sim.uuid()' end);
  end loop;
  -- Nothing may happen by itself, and the same rows shall lie in the same places.
  for r in select c.oid::regclass as t from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' loop
    execute format('alter table %s set (autovacuum_enabled = off)', r.t);
  end loop;
end $$;
create table sim.state as table public.sync_state`;

/** Milliseconds since 1970 at which every seed begins. */
export const BEGINNING = Date.UTC(2026, 11, 1, 9);

const clocked = new Map<string, string>();

/** A statement of the sync with the simulation's clock in place of the database's. */
export function onClock(sql: string): string {
  let known = clocked.get(sql);
  if (known === undefined) {
    known = sql.replaceAll(/\b(?:now|clock_timestamp)\(\)/g, "sim.now()")
      .replaceAll("gen_random_uuid()", "sim.uuid()");
    clocked.set(sql, known);
  }
  return known;
}

/** The database of a simulation. */
export class SimulatedDatabase implements AsyncDisposable {
  readonly pool: DatabasePool;
  readonly #users: pg.Client;
  readonly #end: () => Promise<void>;
  #clock = 0;

  private constructor(pool: DatabasePool, users: pg.Client, end: () => Promise<void>) {
    this.pool = pool;
    this.#users = users;
    this.#end = end;
  }

  static async open(meta: string): Promise<SimulatedDatabase> {
    const database = await testDatabase(meta);
    const pool = openDatabase({ url: database.url, name: "simulation", max: 16 });
    await pool.query(PREPARE);
    const users = await database.connect();
    // Whoever edits a row that the sync is about to commit tries again later.
    await users.query("set lock_timeout = '5ms'");
    return new SimulatedDatabase(pool, users, async () => {
      await users.end();
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    });
  }

  /** Goes back to an empty project. */
  async reset(): Promise<void> {
    await this.pool.query(`
      do $$
      declare
        v_tables text;
      begin
        select string_agg(format('public.%I', tablename), ', ') into v_tables
        from pg_tables where schemaname = 'public';
        execute 'truncate ' || v_tables || ', sim.changes restart identity cascade';
      end $$;
      insert into public.sync_state select * from sim.state;
      select setval('sim.uuids', 1), setval('public.sync_fencing', 1)`);
    this.#clock = 0;
    await this.setClock(BEGINNING);
  }

  /** Sets the clock to milliseconds since 1970. */
  async setClock(now: number): Promise<void> {
    const ms = Math.floor(now);
    if (ms === this.#clock) return;
    this.#clock = ms;
    await this.pool.query("select setval('sim.clock', $1)", [ms]);
  }

  /** Connections that wait for a lock. */
  async countBlocked(): Promise<number> {
    const rows = await this.pool.query<{ n: number }>(
      `select count(distinct pid)::integer as n from pg_locks
       where not granted and pid in (
         select pid from pg_stat_activity where datname = current_database())`,
    );
    return rows[0]?.n ?? 0;
  }

  /**
   * A statement of somebody who uses the app.
   *
   * @returns Its rows, or null where another's lock was in the way: then nothing was done.
   */
  async asUser(sql: string, parameters: readonly unknown[]): Promise<Row[] | null> {
    try {
      return (await this.#users.query(sql, [...parameters])).rows;
    } catch (error) {
      const code = error instanceof Error ? Reflect.get(error, "code") : null;
      if (code === "55P03") return null;
      throw error;
    }
  }

  /** What was written on side A since the last call. */
  async takeChanges(): Promise<LocalChange[]> {
    // Not by number: what is committed last may have begun first.
    return await this.pool.query<LocalChange>(
      `with taken as (delete from sim.changes returning *)
       select tbl, id::text as id, old, new, worker, base from taken order by seq`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
