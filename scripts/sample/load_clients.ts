import type { Database } from "../../shared/store/database.ts";
import type { SamplePeople } from "./sample_people.ts";

const CHUNK = 5_000;

function* chunks<T>(items: Iterable<T>): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * Puts sample partners and clients into their tables.
 *
 * @returns Clients put in.
 */
export async function loadClients(database: Database, people: SamplePeople): Promise<number> {
  await database.query(
    `insert into public.partners (id, name, email, company)
     select id, name, email, company
     from json_populate_recordset(null::public.partners, $1::json)`,
    [JSON.stringify(people.partners)],
  );
  let count = 0;
  for (const chunk of chunks(people.clients())) {
    await database.query(
      `insert into public.clients
         (id, email, first_name, last_name, company, phone, city, country, partner_id,
          marketing_status, groups)
       select id, email, first_name, last_name, company, phone, city, country, partner_id,
         marketing_status, groups
       from json_populate_recordset(null::public.clients, $1::json)`,
      [JSON.stringify(chunk)],
    );
    count += chunk.length;
  }
  // As autovacuum would within a minute: without it the first joins are planned blind.
  await database.query(`analyze public.clients`);
  return count;
}
