/**
 * The floor: fetches the pages, reads the table, inserts what a snapshot holds, and does nothing else. It checks no answer, matches nobody, keeps no cursor, obeys no
 * rate limit and cannot be stopped and continued.
 *
 * Runs as a program of its own; prints a {@linkcode Measurement} without the request count as one line of JSON.
 *
 * @module
 */
import { openDatabase } from "../../shared/store/database.ts";
import { processStats } from "../stack/process_stats.ts";

interface Remote {
  email: string;
  status: string;
  fields: Record<string, string | null>;
  groups: { name: string }[];
}

interface Local {
  id: string;
  doc: Record<string, unknown>;
}

interface Page {
  data: Remote[];
  meta: { next_cursor: string | null };
}

const STATUS: Record<string, string> = {
  active: "subscribed",
  unconfirmed: "pending",
  junk: "complained",
};
const MANAGED = ["Clients", "VIP"];
const FIRST_ID = "00000000-0000-0000-0000-000000000000";

const [apiUrl = "", token = "", databaseUrl = ""] = Deno.args;
await using database = openDatabase({ url: databaseUrl, name: "floor", max: 1 });
await database.query("select 1");
const boot = await processStats(Deno.pid);
const begin = performance.now();

let cursor: string | null = null;
let after = FIRST_ID;
let snapshots = 0;
do {
  const query = new URLSearchParams({ include: "groups", limit: "1000" });
  if (cursor !== null) query.set("cursor", cursor);
  const answer = await fetch(`${apiUrl}/subscribers?${query}`, {
    headers: { authorization: `Bearer ${token}`, accept: "application/json" },
  });
  const page = await answer.json() as Page;
  const rows = await database.query<{ page: Local[] }>(
    `select coalesce(json_agg(json_build_object('id', r.id, 'doc', r.doc)), '[]') as page
     from (
       select c.id, json_build_object(
         'email', c.email, 'firstName', c.first_name, 'lastName', c.last_name,
         'company', c.company, 'phone', c.phone, 'city', c.city, 'country', c.country,
         'partnerName', p.name, 'partnerEmail', p.email, 'partnerCompany', p.company,
         'consent', c.marketing_status, 'groups', c.groups) as doc
       from public.clients c left join public.partners p on p.id = c.partner_id
       where c.id > $1 order by c.id limit 1000
     ) r`,
    [after],
  );
  const local = rows[0]?.page ?? [];
  after = local.at(-1)?.id ?? after;
  const values: unknown[] = [];
  for (let n = 0; n < Math.min(local.length, page.data.length); n++) {
    const remote = page.data[n];
    if (remote === undefined) break;
    values.push([++snapshots, local[n]?.doc, {
      email: remote.email,
      firstName: remote.fields["name"],
      lastName: remote.fields["last_name"],
      company: remote.fields["company"],
      phone: remote.fields["phone"],
      city: remote.fields["city"],
      country: remote.fields["country"],
      partnerName: remote.fields["partner_name"],
      partnerEmail: remote.fields["partner_email"],
      partnerCompany: remote.fields["partner_company"],
      consent: STATUS[remote.status] ?? remote.status,
      groups: remote.groups.map(({ name }) => name).filter((name) => MANAGED.includes(name)),
    }]);
  }
  await database.query(
    `insert into public.bench_floor (id, a, b, a_token, b_token)
     select (r ->> 0)::bigint, r -> 1, r -> 2, md5((r -> 1)::text), md5((r -> 2)::text)
     from jsonb_array_elements($1::jsonb) r`,
    [JSON.stringify(values)],
  );
  cursor = page.meta.next_cursor;
} while (cursor !== null);

const wallMs = performance.now() - begin;
const { cpuMs, peakRssBytes } = await processStats(Deno.pid);
const written = await database.query<{ chars: number }>(
  `select sum(length(a::text) + length(b::text))::float8 as chars from public.bench_floor`,
);
console.log(JSON.stringify({
  wallMs,
  cpuMs,
  bootCpuMs: boot.cpuMs,
  peakRssBytes,
  snapshots,
  snapshotChars: written[0]?.chars ?? 0,
}));
