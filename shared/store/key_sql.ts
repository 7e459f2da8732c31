/**
 * SQL for the key a record of side A is matched by.
 *
 * @module
 */

// What JavaScript's trim() removes (ECMAScript, WhiteSpace and LineTerminator).
const SPACES = String.raw`E' \t\n\x0B\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006` +
  String.raw`\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff'`;

/**
 * Nearly what canonicalisation makes of a key, and exactly the expression that
 * the index over the keys is made of; see the migrations.
 *
 * @param key An SQL expression of any type.
 */
export function indexedKey(key: string): string {
  return `lower(btrim(${key}::text, ${SPACES}))`;
}

/**
 * What canonicalisation makes of a key, for statements that read a whole table anyway.
 *
 * @param key An SQL expression of any type.
 */
export function canonicalKey(key: string): string {
  // Composing costs ten times the rest, and changes nothing in ASCII.
  const text = `case when octet_length(${key}::text) = length(${key}::text) then ${key}::text ` +
    `else normalize(${key}::text, NFC) end`;
  return indexedKey(`(${text})`);
}
