/** What a log line may carry: ids, codes and counts. Never an address or a field's value. */
export type LogFields = { readonly [name: string]: string | number | boolean | null };

/** Writes one line of the log. */
export type Log = (level: "info" | "warn" | "error", event: string, fields: LogFields) => void;
