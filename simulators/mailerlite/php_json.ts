import type { Json } from "./json.ts";

// Slashes and everything beyond ASCII can only stand inside strings.
const ESCAPED = /[/\u0080-\uffff]/g;

/**
 * Serialises as PHP's `json_encode` does by default: slashes as `\/` (in every
 * recording), letters beyond ASCII as `\uXXXX`. It also keeps pages of one-byte
 * text, which V8 joins and encodes several times faster.
 */
export function phpJson(value: Json): string {
  return phpEscape(JSON.stringify(value));
}

// Nothing in it needs an escape: the usual case, told at a glance.
const PLAIN = /^[ !#-.0-[\]-~]*$/;

/** A text as {@link phpJson} writes it, for the many short ones of a page. */
export function phpText(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : phpEscape(JSON.stringify(text));
}

/** Brings serialised JSON into PHP's form. */
export function phpEscape(json: string): string {
  return json.replace(
    ESCAPED,
    (letter) => letter === "/" ? "\\/" : `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
