/**
 * SQL for a change token: 64 bits that change with any value of a JSON document.
 *
 * PostgreSQL's own hash of jsonb, at a third of the cost of a digest of its text.
 * Should a new major version hash differently, every record looks changed once,
 * is found to be equal, and gets its new token.
 *
 * @param doc An SQL expression of type jsonb.
 */
export function token(doc: string): string {
  return `jsonb_hash_extended(${doc}, 0)::text`;
}
