/**
 * Stand-ins for pg_net and Vault, which exist for hosted projects only: the same tables and
 * functions as far as they are used here, and a worker that really sends.
 */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";

/**
 * The schemas `vault` and `net`. `net.http_post` has the parameters of pg_net 0.20, and as there a
 * request is sent by the worker once the transaction that made it is committed.
 */
export const PG_NET_AND_VAULT = `
create schema vault;
create table vault.secrets (name text primary key, secret text not null);
create view vault.decrypted_secrets as select name, secret as decrypted_secret from vault.secrets;
create schema net;
create table net.http_request_queue (
  id bigint generated always as identity primary key,
  url text not null,
  headers jsonb not null,
  body jsonb,
  timeout_milliseconds integer not null
);
create table net._http_response (
  id bigint primary key,
  status_code integer,
  content text,
  error_msg text,
  created timestamptz not null default now()
);
create function net.http_post(
  url text,
  body jsonb default '{}',
  params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}',
  timeout_milliseconds integer default 5000
) returns bigint
language sql as $$
  select pg_notify('net_worker', '');
  insert into net.http_request_queue (url, headers, body, timeout_milliseconds)
  values ($1, $4, $2, $5)
  returning id;
$$;`;

interface QueuedRequest {
  readonly id: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
  readonly timeout: number;
}

/** Sends what is queued, and what will be, until it is disposed of or the server ends. */
export async function startNetWorker(databaseUrl: string): Promise<AsyncDisposable> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  await client.connect();
  let work: Promise<void> = Promise.resolve();
  const drain = () => {
    work = work.then(() => sendQueued(client)).catch(() => {});
  };
  client.on("notification", drain);
  await client.query("listen net_worker");
  drain();
  return {
    async [Symbol.asyncDispose]() {
      await work;
      await client.end();
    },
  };
}

async function sendQueued(client: pg.Client): Promise<void> {
  const { rows } = await client.query<QueuedRequest>(
    `delete from net.http_request_queue
     returning id, url, headers, body, timeout_milliseconds as timeout`,
  );
  for (const { id, url, headers, body, timeout } of rows) {
    let status: number | null = null;
    let content: string | null = null;
    let failure: string | null = null;
    try {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeout),
      });
      status = response.status;
      content = await response.text();
    } catch (error) {
      failure = error instanceof Error ? error.name : "unknown";
    }
    await client.query(
      `insert into net._http_response (id, status_code, content, error_msg) values ($1, $2, $3, $4)`,
      [id, status, content, failure],
    );
  }
}
