import { verifyAuth } from "@supabase/server/core";
import { HttpError } from "./http_error.ts";

/** What a caller may do: an operator may run, a viewer may look and dry-run. */
export type Role = "operator" | "viewer";

/** Who is asking. */
export interface Caller {
  readonly role: Role;
  /** For the record: a key's name or a user's id, never an address. */
  readonly name: string;
}

/**
 * Finds out who asks: a secret key of the project (any name), or a signed-in user
 * whose `app_metadata.sync_role` is `operator` or `viewer`.
 *
 * The platform's own check does not do: it lets the publishable key pass.
 *
 * @throws {HttpError} 401 if the credentials are missing or wrong, 403 if they give no role, 500 if the keys
 * of the project are not configured.
 */
export async function authenticate(request: Request): Promise<Caller> {
  const { data, error } = await verifyAuth(request, { auth: ["user", "secret:*"] });
  if (error !== null) {
    if (error.status >= 500) {
      throw new HttpError("missing_configuration", "Cannot check who is asking", {
        hint:
          "Set SUPABASE_URL, SUPABASE_SECRET_KEYS and SUPABASE_JWKS; the platform does this by itself",
        details: { reason: error.code },
      });
    }
    throw new HttpError(
      "unauthorized",
      "Cannot let the caller in: the credentials are missing or wrong",
      {
        hint:
          "Send a secret key in the apikey header, or a signed-in user's token in Authorization",
        details: { reason: error.code },
      },
    );
  }
  if (data.authMode !== "user") {
    return { role: "operator", name: `secret:${data.keyName ?? "default"}` };
  }
  const role = data.jwtClaims?.app_metadata?.["sync_role"];
  if (role !== "operator" && role !== "viewer") {
    throw new HttpError(
      "forbidden",
      "Cannot let the user in: the account has no role in the sync",
      {
        hint: "Set app_metadata.sync_role to operator or viewer",
      },
    );
  }
  return { role, name: `user:${data.jwtClaims?.sub ?? "unknown"}` };
}
