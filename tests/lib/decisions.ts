/**
 * Calls of the functions that decide conflicts, as the Data API sends them: in a transaction of their
 * own, with the caller's role and the claims of the access token.
 *
 * @module
 */
import { assert } from "@std/assert";
import type { Json } from "../../shared/merge/json.ts";
import type { TestDatabase } from "./database.ts";

/** The user of {@linkcode operator}. */
export const OPERATOR = "11111111-1111-4111-8111-111111111111";

/** Who sends a statement: the database role, and the claims of the access token. */
export interface Caller {
  readonly role: string;
  readonly claims?: unknown;
}

/** A signed-in user's claims; without `sub` where it is null. */
export function claimsOf(syncRole: string, sub: string | null = OPERATOR): unknown {
  return { role: "authenticated", app_metadata: { sync_role: syncRole }, ...(sub && { sub }) };
}

/** An operator as the Data API runs them. */
export const operator: Caller = { role: "authenticated", claims: claimsOf("operator") };

/** A transaction that its caller ends. */
export interface Transaction extends AsyncDisposable {
  /** Selects one expression and returns its value. */
  call(expression: string, ...values: unknown[]): Promise<unknown>;
  end(how: "commit" | "rollback"): Promise<void>;
}

/** Begins a transaction on a connection of its own. */
export async function begin(database: TestDatabase, caller: Caller): Promise<Transaction> {
  const client = await database.connect();
  await client.query("begin");
  await client.query(
    "select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)",
    [JSON.stringify(caller.claims ?? {}), caller.role],
  );
  return {
    async call(expression, ...values) {
      const { rows } = await client.query({
        text: `select ${expression}`,
        values,
        rowMode: "array",
      });
      return rows[0]?.[0];
    },
    async end(how) {
      await client.query(how);
    },
    async [Symbol.asyncDispose]() {
      await client.end();
    },
  };
}

/** Selects one expression in a transaction of its own and returns its value. */
export async function call(
  database: TestDatabase,
  caller: Caller,
  expression: string,
  ...values: unknown[]
): Promise<unknown> {
  await using transaction = await begin(database, caller);
  const answer = await transaction.call(expression, ...values);
  await transaction.end("commit");
  return answer;
}

/** Decides a conflict. */
export function resolve(
  database: TestDatabase,
  id: number,
  choice: string | null,
  value?: Json,
  caller: Caller = operator,
): Promise<unknown> {
  const json = value === undefined ? null : JSON.stringify(value);
  return call(database, caller, "public.resolve_sync_conflict($1, $2, $3)", id, choice, json);
}

/** Takes a decision back. */
export function reopen(
  database: TestDatabase,
  id: number,
  caller: Caller = operator,
): Promise<unknown> {
  return call(database, caller, "public.reopen_sync_conflict($1)", id);
}

/**
 * The SQLSTATE and the message of what a statement ends with.
 *
 * @throws {Error} when it is carried out
 */
export async function refusal(
  statement: Promise<unknown>,
): Promise<[code: unknown, message: string]> {
  try {
    await statement;
  } catch (error) {
    assert(error instanceof Error);
    return [Reflect.get(error, "code"), error.message];
  }
  throw new Error("Cannot tell the refusal: the statement was carried out");
}

/** What may differ between conflicts. */
export interface ConflictInput {
  readonly field?: string;
  readonly a?: Json;
  readonly b?: Json;
  readonly status?: "open" | "superseded";
}

/** Inserts a conflict on the one linked record there is, and returns its id. */
export async function insertConflict(
  database: TestDatabase,
  input: ConflictInput = {},
): Promise<number> {
  const { field = "city", a = "Oslo-in-a", b = "Bergen-in-b", status = "open" } = input;
  const { rows } = await database.pool.query<{ id: number }>(
    `with link as (
       insert into public.integration_crosswalk (pair, a_id, b_id)
       values ('people', md5('ann')::uuid, '7')
       on conflict (pair, a_id) where link_state <> 'keep_apart' do update set b_id = excluded.b_id
       returning id
     )
     insert into public.sync_conflicts
       (pair, crosswalk_id, record_key, field, a, b, reason, status, resolved_at)
     select 'people', link.id, link.id::text, $1, $2, $3, 'both_changed', $4,
       case when $4 <> 'open' then now() end
     from link
     returning id::integer`,
    [field, JSON.stringify(a), JSON.stringify(b), status],
  );
  const id = rows[0]?.id;
  assert(id !== undefined);
  return id;
}

/** What the functions change of a conflict. */
export async function conflictRow(database: TestDatabase, id: number): Promise<unknown> {
  const { rows } = await database.pool.query(
    `select status, choice, resolved_value as value, resolved_by as by,
       resolved_at is not null as closed, applied_at is not null as applied
     from public.sync_conflicts where id = $1`,
    [id],
  );
  return rows[0];
}

/** The {@linkcode conflictRow} of a conflict nobody has decided. */
export const OPEN = {
  status: "open",
  choice: null,
  value: null,
  by: null,
  closed: false,
  applied: false,
} as const;
