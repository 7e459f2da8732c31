/**
 * Tells whether the database refused the values it was sent: class 22 of the
 * SQLSTATE codes, such as a NUL in a text (PostgreSQL, Appendix A).
 */
export function isDataError(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : null;
  return typeof code === "string" && code.length === 5 && code.startsWith("22");
}
