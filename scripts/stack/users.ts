/** Users of a local project. */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";
import { z } from "zod";
import type { UserMetadata } from "./tokens.ts";

/** A user to make. */
export interface NewUser {
  email: string;
  /** At least six characters. */
  password: string;
  /** What the user cannot change: `{ sync_role: "operator" }` lets them run the sync. */
  app_metadata?: Record<string, unknown>;
}

/** The users of a running stack. */
export interface Users extends AsyncDisposable {
  /**
   * Signs a user up and gives them their `app_metadata`, which Supabase Lite has no API for.
   *
   * @returns the user's id
   * @throws {Error} when the Auth API refuses
   */
  create(user: NewUser): Promise<string>;
  /** A user's metadata, as their token should carry it. */
  metadata(userId: string): Promise<UserMetadata | undefined>;
}

const signedUp = z.object({ user: z.object({ id: z.string() }) });
const refused = z.object({ error_code: z.string() });
const object = z.record(z.string(), z.unknown());
const metadata = z.object({ app_metadata: object, user_metadata: object });

/** Supabase Lite writes the object as a JSON text inside of JSON, and reads both. */
const plain = (column: string) =>
  `case jsonb_typeof(${column}) when 'object' then ${column}
   when 'string' then (${column} #>> '{}')::jsonb else '{}' end`;

/** Opens the users of a database; `signUp` sends a request to the Auth API. */
export function openUsers(
  databaseUrl: string,
  signUp: (body: string) => Promise<Response>,
): Users {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2, idleTimeoutMillis: 1000 });
  // The pool opens a new connection for the next query; an error nobody listens to ends the process.
  pool.on("error", () => {});
  return {
    async create({ email, password, app_metadata }) {
      const response = await signUp(JSON.stringify({ email, password }));
      const answer: unknown = await response.json();
      const parsed = signedUp.safeParse(answer);
      if (!response.ok || !parsed.success) {
        const reason = refused.safeParse(answer).data?.error_code ?? "no code";
        throw new Error(
          `Cannot create the user: the Auth API answered ${response.status} (${reason})`,
        );
      }
      const { id } = parsed.data.user;
      await pool.query(
        `update auth.users
         set raw_app_meta_data = ${plain("raw_app_meta_data")} || $2::jsonb where id = $1`,
        [id, JSON.stringify(app_metadata ?? {})],
      );
      return id;
    },
    async metadata(userId) {
      const { rows } = await pool.query(
        `select ${plain("raw_app_meta_data")} as app_metadata,
                ${plain("raw_user_meta_data")} as user_metadata
         from auth.users where id::text = $1`,
        [userId],
      );
      return metadata.optional().parse(rows[0]);
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
