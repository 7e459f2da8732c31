/**
 * Supabase Lite: the Data and Auth API of the local stack, in this process.
 *
 * The bare import comes first on purpose: `postgres` is an optional peer of `@supabase/lite`, and Deno links an optional peer only when the same import graph asks
 * for it.
 */
import "postgres";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";

/** What the Data and Auth API need to know. */
export interface LiteOptions {
  databaseUrl: string;
  /** Signs the users' tokens (HS256). */
  jwtSecret: string;
  /** The publishable key; requests that carry it run as `anon`. */
  publishableKey: string;
  /** The secret keys; requests that carry one of them run as `service_role`. */
  secretKeys: readonly string[];
}

/** The running API; see {@linkcode openLite}. */
export interface Lite extends AsyncDisposable {
  /** Answers a request to `/rest/v1` or `/auth/v1`. */
  fetch(request: Request): Promise<Response>;
}

/** Opens the Data and Auth API on a database that {@linkcode prepareDatabase} has prepared. */
export async function openLite(options: LiteOptions): Promise<Lite> {
  const connection = connect(options.databaseUrl);
  const app = new App({
    connection,
    auth: { enabled: true, jwt_secret: options.jwtSecret },
    options: {
      server: {
        disableStudio: true,
        admin: false,
        apiKeys: {
          resolver: (key) => {
            if (key === options.publishableKey) {
              return Promise.resolve({ type: "publishable", claims: { role: "anon" } });
            }
            if (options.secretKeys.includes(key)) {
              return Promise.resolve({ type: "secret", claims: { role: "service_role" } });
            }
            return Promise.resolve(null);
          },
        },
      },
    },
  });
  await app.init();
  return {
    fetch: (request) => app.fetch(request),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Makes the `auth` schema and the table of the migration history. */
export async function makeSystemSchema(databaseUrl: string): Promise<void> {
  const connection = connect(databaseUrl);
  try {
    const app = new App({ connection, auth: { enabled: true, jwt_secret: "unused" } });
    await app.ensureSystemSchema();
  } finally {
    await connection.close();
  }
}

function connect(url: string) {
  const connection = createPostgresConnection({
    url,
    // "already exists, skipping" on every start says nothing to anyone.
    postgresOptions: { onnotice: () => {}, max: 5 },
  });
  /*
   * At the first request Lite grants all privileges on every table to every API role, `anon` included. A hosted project does no such thing, so a migration that
   * forgets a grant would work here and fail there. Telling the connection that this has been done keeps the privileges as the migrations set them.
   */
  if (!Reflect.has(connection, "rlsState")) {
    throw new Error(
      "Cannot stop Supabase Lite from granting privileges: this version keeps its state elsewhere, see rlsState in its PostgresConnection",
    );
  }
  Reflect.set(connection, "rlsState", "active");
  return connection;
}
