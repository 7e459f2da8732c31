import type { ProgressOutput } from "./progress_bar.ts";

/** Standard output as a place for progress. */
export function standardOutput(): ProgressOutput {
  const encoder = new TextEncoder();
  const isTerminal = Deno.stdout.isTerminal() && Deno.env.get("TERM") !== "dumb";
  return {
    write: (text) => {
      let bytes = encoder.encode(text);
      while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
    },
    // A terminal that does not know its size says 0.
    columns: () => isTerminal ? Deno.consoleSize().columns || 80 : undefined,
    now: () => performance.now(),
  };
}
