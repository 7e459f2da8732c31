/**
 * The floor of enterprise-sync: fetches and parses every page, then writes as many records as were edited, to the remote in batches and to side A in one statement. It
 * compares nothing, confirms nothing and keeps no state; what it writes to the remote is what is there, so that the next run finds nothing changed.
 *
 * Runs as a program of its own; prints a `ProcessUse` without the request count as one line of JSON.
 *
 * @module
 */
import { openDatabase } from "../../shared/store/database.ts";
import { processStats } from "../stack/process_stats.ts";

interface Remote {
  readonly id: string;
  readonly fields: Readonly<Record<string, string | null>>;
}

interface Page {
  readonly data: readonly Remote[];
  readonly meta: { readonly next_cursor: string | null };
}

/** Most requests a batch may hold (MailerLite docs, Batching). */
const BATCH_MAX = 50;

const [apiUrl = "", token = "", toRemote = "0", toLocal = "0", databaseUrl = ""] = Deno.args;
const headers = { authorization: `Bearer ${token}`, accept: "application/json" };
await using database = databaseUrl === ""
  ? null
  : openDatabase({ url: databaseUrl, name: "floor", max: 1 });
await database?.query("select 1");
const boot = await processStats(Deno.pid);
const begin = performance.now();

const writes: Remote[] = [];
let cursor: string | null = null;
do {
  const query = new URLSearchParams({ include: "groups", limit: "1000" });
  if (cursor !== null) query.set("cursor", cursor);
  const answer = await fetch(`${apiUrl}/subscribers?${query}`, { headers });
  const page = JSON.parse(await answer.text()) as Page;
  writes.push(...page.data.slice(0, Math.max(0, Number(toRemote) - writes.length)));
  cursor = page.meta.next_cursor;
} while (cursor !== null);

for (let n = 0; n < writes.length; n += BATCH_MAX) {
  const requests = writes.slice(n, n + BATCH_MAX).map(({ id, fields }) => ({
    method: "PUT",
    path: `api/subscribers/${id}`,
    body: { fields: { name: fields["name"] } },
  }));
  const answer = await fetch(`${apiUrl}/batch`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ requests }),
  });
  const { failed } = await answer.json() as { readonly failed: number };
  if (failed > 0) throw new Error(`Cannot write: ${failed} requests of a batch failed`);
}
await database?.query(
  `update public.clients c set city = 'Moved'
   from (select id from public.clients order by id limit $1) e where c.id = e.id`,
  [Number(toLocal)],
);

const wallMs = performance.now() - begin;
const { cpuMs, peakRssBytes } = await processStats(Deno.pid);
console.log(JSON.stringify({ wallMs, cpuMs, bootCpuMs: boot.cpuMs, peakRssBytes }));
