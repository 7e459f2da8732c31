const PAUSABLE = ["backfill-sync", "enterprise-sync"] as const;

/** Takes the name of the function whose run is meant off a command's arguments; the backfill's where none is named. */
export function takeFunction(args: readonly string[]): {
  readonly functionName: typeof PAUSABLE[number];
  readonly rest: readonly string[];
} {
  const functionName = PAUSABLE.find((name) => name === args[0]);
  return functionName === undefined
    ? { functionName: "backfill-sync", rest: args }
    : { functionName, rest: args.slice(1) };
}
