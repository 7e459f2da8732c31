/**
 * The Deno standard library's assertions, typed.
 *
 * The npm build of the standard library ships JavaScript only; without these
 * types `assert(x)` would not narrow and every call would be unchecked.
 *
 * @module
 */
// @ts-types="./assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
