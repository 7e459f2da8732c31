import { z } from "zod";

const schema = z.object({ errors: z.record(z.string(), z.unknown()) });

/**
 * A code for a refusal, from the keys of its `errors`: `rejected_email`,
 * `rejected_fields.city`. Never from the message, which may change at any time
 * and may repeat a value.
 */
export function rejectionCode(body: unknown): string {
  const parsed = schema.safeParse(body);
  if (!parsed.success) return "remote_rejected";
  const keys = Object.keys(parsed.data.errors)
    .map((key) => key.replace(/\.\d+(?=\.|$)/g, ""))
    // What is not the path of a field is not a name of ours, so it may be data.
    .filter((key) => /^[a-z0-9_]+(\.[a-z0-9_]+)?$/.test(key))
    .sort();
  return keys[0] === undefined ? "remote_rejected" : `rejected_${keys[0]}`;
}
