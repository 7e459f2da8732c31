import { MissingConfigurationError } from "../missing_configuration_error.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" };
const encoder = new TextEncoder();

/** The variable with the webhooks' secrets. */
const SECRETS = "MAILERLITE_WEBHOOK_SECRET";

/**
 * Reads `MAILERLITE_WEBHOOK_SECRET`: one secret, or several between commas,
 * because every webhook has a secret of its own and a new one has to be known
 * before the old one is gone.
 *
 * @throws {MissingConfigurationError} If there is none.
 */
export function webhookSecrets(env: (name: string) => string | undefined): readonly string[] {
  const secrets = (env(SECRETS) ?? "").split(",").map((text) => text.trim())
    .filter((text) => text !== "");
  if (secrets.length > 0) return secrets;
  throw new MissingConfigurationError(
    SECRETS,
    "the secret of a webhook, or several between commas",
  );
}

/**
 * Tells whether a signature is the lower-case hex HMAC-SHA256 of a body under one
 * of the secrets (MailerLite docs, Webhooks, Signature).
 *
 * What is wanted and what came are compared by their HMACs under a key made for
 * this call: a sender can tune neither towards the other, whatever the time
 * tells, and both are of one length. All secrets are tried, whichever fits.
 */
export async function isSigned(
  secrets: readonly string[],
  signature: string,
  body: ArrayBuffer,
): Promise<boolean> {
  const blind = await importKey(crypto.getRandomValues(new Uint8Array(32)));
  const given = await sign(blind, encoder.encode(signature));
  let signed = false;
  for (const secret of secrets) {
    const digest = await sign(await importKey(encoder.encode(secret)), body);
    signed = areEqual(await sign(blind, encoder.encode(hex(digest))), given) || signed;
  }
  return signed;
}

function importKey(secret: BufferSource): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", secret, HMAC, false, ["sign"]);
}

async function sign(key: CryptoKey, data: BufferSource): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, data));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Compares two digests without stopping at the first difference. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0);
  return difference === 0;
}
