/** A hash of 64 bits, in two halves that JavaScript can count with; both signed. */
export interface Print {
  readonly high: number;
  readonly low: number;
}

/** A print as the number that a database keeps it as: a signed integer of 64 bits. */
export function printText({ high, low }: Print): string {
  return String((BigInt(high) << 32n) | BigInt(low >>> 0));
}
