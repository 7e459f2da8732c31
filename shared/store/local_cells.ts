/**
 * Which cells of which rows the writes of a batch set.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import { sameJson } from "../merge/same_json.ts";
import type { ReferredRow } from "./local_locks.ts";
import type { Cell, RowCells, RowTarget } from "./local_statements.ts";
import type { LocalPlace, LocalTable } from "./local_table.ts";
import type { LocalInsert, LocalUpdate } from "./local_write.ts";

/** A write and its place in the batch. */
export interface Placed<Write> {
  readonly at: number;
  readonly write: Write;
}

/** A write of a record that is locked and as it was read. */
export interface Locked<Write> extends Placed<Write> {
  /** The rows it refers to, by the head of the paths that reach them. */
  readonly referred: ReadonlyMap<string, ReferredRow>;
}

/** A cell and the row it belongs to. */
interface TargetCell extends Cell {
  readonly target: RowTarget;
  readonly key: string;
  /** Names the cell, whichever way led to it. */
  readonly name: string;
}

/** @throws {TypeError} If the path is not mapped. */
export function placeOf(table: LocalTable, path: string): LocalPlace {
  const place = table.places.get(path);
  if (place === undefined) throw new TypeError(`Cannot write '${path}': it is not mapped`);
  return place;
}

/** The table itself. */
export function ownTarget(table: LocalTable): RowTarget {
  return { source: table.source, key: table.id, keyType: "pg_catalog.uuid" };
}

/** The cells an update sets; null if a row it refers to is not there. */
function cellsOf(
  table: LocalTable,
  { write, referred }: Locked<LocalUpdate>,
): TargetCell[] | null {
  const cells: TargetCell[] = [];
  const id = write.id.toLowerCase();
  for (const [path, value] of Object.entries(write.values)) {
    const { column, type, reference } = placeOf(table, path);
    let target = ownTarget(table);
    let found: ReferredRow | undefined = { key: id, row: id };
    if (reference !== null) {
      target = reference;
      found = referred.get(reference.head);
    }
    if (found === undefined) return null;
    const name = JSON.stringify([target.source, found.row, column]);
    cells.push({ column, type, value, target, key: found.key, name });
  }
  return cells;
}

/** Leaves out the updates that want different values for one cell: none of them is the right one. */
export function withoutRivals(
  table: LocalTable,
  updates: readonly Locked<LocalUpdate>[],
): Locked<LocalUpdate>[] {
  const wanted = new Map<string, Json>();
  const disputed = new Set<string>();
  const cells = updates.map((update) => cellsOf(table, update));
  for (const { name, value } of cells.flatMap((one) => one ?? [])) {
    const other = wanted.get(name);
    if (other !== undefined && !sameJson(other, value)) disputed.add(name);
    wanted.set(name, value);
  }
  return updates.filter((_, index) =>
    cells[index]?.every(({ name }) => !disputed.has(name)) ?? false
  );
}

/** Whether an update sets what only the database gives a value. */
export function setsReadOnly(table: LocalTable, { values }: LocalUpdate): boolean {
  return Object.keys(values).some((path) => placeOf(table, path).readOnly);
}

/** The row of a new record. What is null is left out, so that the column's default applies. */
export function newRow(table: LocalTable, { id, values }: LocalInsert): RowCells {
  const cells: Cell[] = [];
  for (const [path, value] of Object.entries(values)) {
    if (value === null || path.includes(".") || path === table.id) continue;
    const { column, type, readOnly } = placeOf(table, path);
    if (!readOnly) cells.push({ column, type, value });
  }
  return { key: id, cells };
}

/** Rows of one table. */
export interface TargetRows {
  readonly target: RowTarget;
  readonly rows: readonly RowCells[];
}

/** The rows that updates set cells of, each once, however many updates share it. */
export function rowsByTarget(
  table: LocalTable,
  updates: readonly Locked<LocalUpdate>[],
): TargetRows[] {
  const targets = new Map<string, { target: RowTarget; rows: Map<string, Map<string, Cell>> }>();
  for (const cell of updates.flatMap((update) => cellsOf(table, update) ?? [])) {
    const { target, key, column } = cell;
    const name = JSON.stringify([target.source, target.key]);
    const rows = targets.get(name)?.rows ?? new Map<string, Map<string, Cell>>();
    targets.set(name, { target, rows });
    rows.set(key, (rows.get(key) ?? new Map<string, Cell>()).set(column, cell));
  }
  return [...targets.values()].map(({ target, rows }) => ({
    target,
    rows: [...rows].map(([key, cells]) => ({ key, cells: [...cells.values()] })),
  }));
}
