/**
 * A name in SQL, quoted: a column may be called "order".
 *
 * Names come from the configuration and were checked against the catalogue.
 */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
