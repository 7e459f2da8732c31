/** The keys of a local project, made once and kept beside its data so that apps and sessions survive a restart. */
import { z } from "zod";

const stored = z.object({
  publishable: z.string().startsWith("sb_publishable_"),
  secret: z.record(z.string(), z.string().startsWith("sb_secret_")),
  jwtSecret: z.string().min(32),
  signingKey: z.object({
    kty: z.literal("EC"),
    crv: z.literal("P-256"),
    x: z.string(),
    y: z.string(),
    d: z.string(),
  }),
});

/** The keys of a local project, in the forms the platform gives them. */
export type StackKeys = z.infer<typeof stored>;

/** Makes a new set: one publishable key, the secret keys `default` and `cron`, and what signs users' tokens. */
export async function newKeys(): Promise<StackKeys> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  return stored.parse({
    publishable: `sb_publishable_${randomText()}`,
    secret: { default: `sb_secret_${randomText()}`, cron: `sb_secret_${randomText()}` },
    jwtSecret: randomText() + randomText(),
    signingKey: await crypto.subtle.exportKey("jwk", pair.privateKey),
  });
}

/**
 * Reads the keys from a file, or makes them and writes the file, readable by its owner only.
 *
 * @throws {Error} when the file is there and does not hold keys
 */
export async function keysIn(path: string): Promise<StackKeys> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (text === undefined) {
    const keys = await newKeys();
    const draft = `${path}.draft`;
    await Deno.writeTextFile(draft, JSON.stringify(keys, null, 2), { mode: 0o600 });
    await Deno.rename(draft, path);
    return keys;
  }
  try {
    return stored.parse(JSON.parse(text));
  } catch {
    throw new Error(
      `Cannot read the keys of the local stack from ${path}: it is damaged. Start with --reset to make new ones`,
    );
  }
}

/** 132 bits, in the characters of the platform's own keys. */
function randomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(17));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}
