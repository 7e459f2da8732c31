/** Numbers as a person reads them. @module */

/** A whole number with its thousands apart: `24,222`. */
export function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** So many things, in words that suit the number: `1 field waits`, `2 fields wait`. */
export function counted(n: number, one: string, many: string): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A duration in ms, in the unit that suits it: `640 ms`, `6.4 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** Bytes in MB of 2^20, as the platform's memory limit counts them. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
