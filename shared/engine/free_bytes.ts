/**
 * Gives the memory of bytes back at once; they are empty from then on.
 *
 * The garbage collector goes by what JavaScript holds and is late for memory
 * outside of it: pages of a megabyte each, dropped and not collected yet, were
 * most of what a long run held.
 */
export function freeBytes({ buffer }: Uint8Array): void {
  // ECMAScript 2024: the hosted runtime has it, its TypeScript does not know it.
  const transfer: unknown = Reflect.get(buffer, "transfer");
  if (typeof transfer === "function" && buffer.byteLength > 0) transfer.call(buffer, 0);
}
