import type { Json } from "../merge/json.ts";
import { requireEnv, type Runtime } from "./runtime.ts";

function secretKey(runtime: Runtime): string {
  const keys: unknown = JSON.parse(requireEnv(runtime.env, "SUPABASE_SECRET_KEYS"));
  if (typeof keys === "object" && keys !== null) {
    const named: unknown = Reflect.get(keys, "default") ?? Object.values(keys)[0];
    if (typeof named === "string") return named;
  }
  throw new TypeError("Cannot call itself: SUPABASE_SECRET_KEYS is not an object with a key in it");
}

/**
 * Calls this function again, in a new request and so, where the platform wants
 * one, in a new isolate.
 *
 * @returns null if the call was taken, else why not.
 */
export async function callSelf(
  runtime: Runtime,
  functionName: string,
  body: Json,
): Promise<string | null> {
  try {
    const url = `${requireEnv(runtime.env, "SUPABASE_URL")}/functions/v1/${functionName}`;
    const response = await runtime.fetch(url, {
      method: "POST",
      headers: { apikey: secretKey(runtime), "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await response.body?.cancel();
    // 409: somebody else was quicker, and goes on with it.
    return response.ok || response.status === 409 ? null : `status_${response.status}`;
  } catch (error) {
    // By name: the platform's own class for too many calls in one chain exists only there.
    return error instanceof Error ? error.name : "unknown";
  }
}
