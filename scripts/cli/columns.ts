/** Rows of text for a terminal, every column to the left. */
export function renderColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, n) => widths[n] = Math.max(widths[n] ?? 0, [...cell].length));
  }
  const padded = (cell: string, width: number) => cell + " ".repeat(width - [...cell].length);
  return rows.map((row) => row.map((cell, n) => padded(cell, widths[n] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

/** Rows under a head, or nothing where there are none. */
export function renderRows(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  return rows.length === 0 ? [] : [renderColumns([head, ...rows])];
}
