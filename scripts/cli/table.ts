/** A table for a terminal: the first column to the left, the others to the right. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, n) => widths[n] = Math.max(widths[n] ?? 0, cell.length));
  }
  const line = (row: readonly string[]) =>
    row.map((cell, n) => n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))
      .join("  ").trimEnd();
  return rows.map(line).join("\n");
}
