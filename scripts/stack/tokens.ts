/**
 * Two signatures for one user.
 *
 * Supabase Lite signs tokens with a shared secret (HS256) and reads only those; it also leaves the user's metadata out. A hosted project signs with a key pair,
 * publishes the public half and puts `app_metadata` and `user_metadata` in; functions accept nothing else, and policies read the metadata. So a token is checked
 * where it passes through, completed, and signed in the way the receiver reads. A token that does not check out passes unchanged: whoever receives it refuses it, as
 * it would in production.
 */
import { decodeProtectedHeader, importJWK, type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { StackKeys } from "./keys.ts";

/** What a hosted project's token says of a user, apart from who they are. */
export interface UserMetadata {
  app_metadata: Record<string, unknown>;
  user_metadata: Record<string, unknown>;
}

/** Finds a user's metadata by id; nothing for a user who has been deleted. */
export type FindMetadata = (userId: string) => Promise<UserMetadata | undefined>;

/** Translates users' tokens; see {@linkcode openTokens}. */
export interface Tokens {
  /** The public key set, for `SUPABASE_JWKS`. */
  jwks: string;
  /** The headers with a user's token as functions accept it. */
  forFunctions(headers: Headers): Promise<Headers>;
  /** The headers with a user's token as Supabase Lite accepts it. */
  forLite(headers: Headers): Promise<Headers>;
}

const KEY_ID = "local-stack";

/** Prepares the translation with the keys of a stack. */
export async function openTokens(keys: StackKeys, findMetadata: FindMetadata): Promise<Tokens> {
  const shared = new TextEncoder().encode(keys.jwtSecret);
  const { d: _, ...publicJwk } = keys.signingKey;
  const privateKey = await importJWK(keys.signingKey, "ES256");
  const publicKey = await importJWK(publicJwk, "ES256");

  const verify = async (token: string): Promise<JWTPayload | undefined> => {
    try {
      // The algorithm in the header only chooses the key; each key takes its own algorithm alone.
      const { payload } = decodeProtectedHeader(token).alg === "ES256"
        ? await jwtVerify(token, publicKey, { algorithms: ["ES256"] })
        : await jwtVerify(token, shared, { algorithms: ["HS256"] });
      return payload;
    } catch {
      return undefined;
    }
  };
  const translate = async (
    headers: Headers,
    sign: (payload: JWTPayload) => Promise<string>,
  ): Promise<Headers> => {
    const copy = new Headers(headers);
    const token = bearer(headers);
    const payload = token === undefined ? undefined : await verify(token);
    if (payload === undefined) return copy;
    const metadata = payload.sub === undefined ? undefined : await findMetadata(payload.sub);
    copy.set("authorization", `Bearer ${await sign({ ...metadata, ...payload })}`);
    return copy;
  };

  return {
    jwks: JSON.stringify({ keys: [{ ...publicJwk, kid: KEY_ID, alg: "ES256", use: "sig" }] }),
    forFunctions: (headers) =>
      translate(
        headers,
        (payload) =>
          new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: KEY_ID, typ: "JWT" })
            .sign(privateKey),
      ),
    forLite: (headers) =>
      translate(
        headers,
        (payload) =>
          new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(shared),
      ),
  };
}

function bearer(headers: Headers): string | undefined {
  return /^Bearer\s+(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
}
