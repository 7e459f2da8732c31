/**
 * Writes a batch of records of side A inside the transaction that commits it.
 *
 * Rows are locked, compared with what was read, and only then written; so an edit
 * somebody made since is never written over, and nobody can make one in between.
 *
 * @module
 */
import type { Doc } from "../merge/json.ts";
import type { Database } from "./database.ts";
import {
  type Locked,
  newRow,
  ownTarget,
  type Placed,
  placeOf,
  rowsByTarget,
  setsReadOnly,
  withoutRivals,
} from "./local_cells.ts";
import {
  type Expectation,
  findUnchanged,
  lockRecords,
  lockReferred,
  type ReferredRow,
} from "./local_locks.ts";
import { withShortWaits, writeOrSplit } from "./local_split.ts";
import { deleteRows, insertRows, updateRows } from "./local_statements.ts";
import type { LocalTable } from "./local_table.ts";
import type {
  LocalDelete,
  LocalInsert,
  LocalResult,
  LocalUpdate,
  LocalWrite,
} from "./local_write.ts";
import { token } from "./token.ts";

export type {
  LocalDelete,
  LocalInsert,
  LocalResult,
  LocalUpdate,
  LocalWrite,
} from "./local_write.ts";

/** What must not have changed for a write to go ahead; null if it was never read. */
function expectationOf(
  table: LocalTable,
  { id, read, ...write }: LocalUpdate | LocalDelete,
): Expectation | null {
  const paths = write.op === "update" ? Object.keys(write.values) : [...table.places.keys()];
  const expected: Doc = {};
  for (const path of paths) {
    const value = read[path];
    if (value === undefined) return null;
    expected[path] = value;
  }
  return { id, read: expected };
}

/** Locks what the writes are about and leaves out those whose record is not as it was read. */
async function lockUnchanged(
  database: Database,
  table: LocalTable,
  writes: readonly Placed<LocalUpdate | LocalDelete>[],
): Promise<Locked<LocalUpdate | LocalDelete>[]> {
  if (writes.length === 0) return [];
  const held = await lockRecords(database, table, writes.map(({ write }) => write.id));
  const locked = writes
    .filter((_, index) => held.has(index))
    .map((placed) => ({ ...placed, referred: new Map<string, ReferredRow>() }));
  for (const reference of table.references) {
    const referring = locked.filter(({ write }) =>
      write.op === "update" &&
      Object.keys(write.values).some((path) => placeOf(table, path).reference === reference)
    );
    if (referring.length === 0) continue;
    const rows = await lockReferred(
      database,
      table,
      reference,
      referring.map(({ write }) => write.id),
    );
    for (const [index, row] of rows) referring[index]?.referred.set(reference.head, row);
  }
  const expected = locked.flatMap((placed) => {
    const expectation = expectationOf(table, placed.write);
    return expectation === null ? [] : [{ placed, expectation }];
  });
  if (expected.length === 0) return [];
  // By a statement of its own: it sees what was committed up to the moment of the locks.
  const unchanged = await findUnchanged(
    database,
    table,
    expected.map(({ expectation }) => expectation),
  );
  return expected.filter((_, index) => unchanged.has(index)).map(({ placed }) => placed);
}

/** Reads what the table holds now, by places in `writes`; see `LocalResult` for what is answered. */
async function readBack(
  database: Database,
  table: LocalTable,
  writes: readonly Placed<LocalWrite>[],
): Promise<Map<number, { readonly doc: Doc; readonly token: string }>> {
  const asked = writes.map(({ at, write }) => ({
    at,
    id: write.id,
    read: write.op === "update" ? write.read : null,
    paths: write.op === "update" ? Object.keys(write.values) : [],
  }));
  const rows = await database.query<{ told: string }>(
    `with told as (
       select n.at, coalesce(n.read || (
           select coalesce(jsonb_object_agg(p.path, r.doc -> p.path), '{}')
           from jsonb_array_elements_text(n.paths) p (path)
         ), r.doc) as doc
       from jsonb_to_recordset($1::jsonb) n (at integer, id uuid, read jsonb, paths jsonb)
       join (${table.select}) r on r.id = n.id
     )
     select coalesce(
       json_agg(json_build_object('at', at, 'token', ${
      token("doc")
    }, 'doc', doc)), '[]')::text as told
     from told`,
    [JSON.stringify(asked)],
  );
  const told = JSON.parse(rows[0]?.told ?? "[]") as { at: number; doc: Doc; token: string }[];
  return new Map(told.map(({ at, doc, token }) => [at, { doc, token }]));
}

/** What became of a write that the database took, by what the table holds now. */
function resultOf(
  { op }: LocalWrite,
  now: { readonly doc: Doc; readonly token: string } | undefined,
): LocalResult {
  // 02000, no_data: a trigger kept the row from being added or removed.
  const ignored: LocalResult = { outcome: "rejected", code: "database_02000" };
  switch (op) {
    case "insert":
      return now === undefined ? ignored : { outcome: "done", ...now };
    case "update":
      return now === undefined ? { outcome: "moved" } : { outcome: "done", ...now };
    case "delete":
      return now === undefined ? { outcome: "done", doc: {}, token: "" } : ignored;
  }
}

/**
 * Writes records of side A, each as far as nobody has edited it since it was read.
 *
 * Rows that somebody else has locked are passed over, and one record that the
 * database refuses does not keep the others from being written. The number of
 * statements depends on the mapping, not on the number of writes, unless some of
 * them are refused.
 *
 * @param database A transaction, at the isolation level "read committed".
 * @returns What became of each write, in their order.
 * @throws {TypeError} If a path is not mapped.
 * @throws What the database answered, if it does not stem from the values; the transaction is to be rolled back.
 */
export async function applyLocalWrites(
  database: Database,
  table: LocalTable,
  writes: readonly LocalWrite[],
): Promise<readonly LocalResult[]> {
  const results = writes.map((): LocalResult => ({ outcome: "moved" }));
  const inserts: Placed<LocalInsert>[] = [];
  const changes: Placed<LocalUpdate | LocalDelete>[] = [];
  for (const [at, write] of writes.entries()) {
    if (write.op === "insert") inserts.push({ at, write });
    else if (write.op === "update" && setsReadOnly(table, write)) {
      // 428C9, generated_always: what the database would answer, for the whole statement.
      results[at] = { outcome: "rejected", code: "database_428C9" };
    } else changes.push({ at, write });
  }
  const locked = await lockUnchanged(database, table, changes);
  const deletes = locked.filter((one): one is Locked<LocalDelete> => one.write.op === "delete");
  const updates = withoutRivals(
    table,
    locked.filter((one): one is Locked<LocalUpdate> => one.write.op === "update"),
  );
  const taken = [...deletes, ...updates, ...inserts];
  if (taken.length === 0) return results;

  const left = new Map<Placed<LocalWrite>, LocalResult>();
  await withShortWaits(database, async () => {
    // What only fails at the commit would take the whole batch with it.
    if (table.deferred) await database.query("set constraints all immediate");
    const own = ownTarget(table);
    // In this order, so that a value that has to be unique is free before it is taken.
    const parts = [
      await writeOrSplit(
        database,
        deletes,
        (part) => deleteRows(database, own, part.map(({ write }) => write.id)),
      ),
      await writeOrSplit(database, updates, async (part) => {
        for (const { target, rows } of rowsByTarget(table, part)) {
          await updateRows(database, target, rows);
        }
      }),
      await writeOrSplit(
        database,
        inserts,
        (part) => insertRows(database, own, part.map(({ write }) => newRow(table, write))),
      ),
    ];
    for (const [placed, result] of parts.flatMap((part) => [...part])) left.set(placed, result);
  });
  const now = await readBack(database, table, taken.filter((placed) => !left.has(placed)));
  for (const placed of taken) {
    results[placed.at] = left.get(placed) ?? resultOf(placed.write, now.get(placed.at));
  }
  return results;
}
