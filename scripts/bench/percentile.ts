/**
 * The least of some values that so many percent of them do not exceed.
 *
 * @param percent From above 0 to 100.
 * @throws {RangeError} If there are no values.
 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  const value = sorted[Math.ceil((percent / 100) * sorted.length) - 1];
  if (value === undefined) throw new RangeError("Cannot tell a percentile: there are no values");
  return value;
}
