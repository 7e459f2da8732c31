/**
 * The loop people write: for each client one GET with MailerLite's Node SDK and one upsert with supabase-js.
 *
 * Runs as a program of its own; prints a {@linkcode Measurement} without the request count as one line of JSON.
 *
 * @module
 */
import { createClient } from "@supabase/supabase-js";
import sdk from "@mailerlite/mailerlite-nodejs";
import { processStats } from "../stack/process_stats.ts";

const [remoteUrl = "", token = "", url = "", key = "", people = "0"] = Deno.args;
const wanted = Number(people);
// The package's types are those of its CommonJS half, where the class is one level deeper.
const MailerLite = sdk as unknown as typeof sdk.default;
const mailerlite = new MailerLite({ api_key: token, base_path: remoteUrl });
const supabase = createClient(url, key);
const boot = await processStats(Deno.pid);
const begin = performance.now();

const { data: clients, error } = await supabase.from("clients").select("*").order("id")
  .limit(wanted);
if (error !== null) throw new Error(`Cannot read the clients: ${error.message}`);
let snapshots = 0;
let snapshotChars = 0;
for (const client of clients) {
  const email = String(client.email).normalize("NFC").trim().toLowerCase();
  // The library puts it into the path as it is, where a % would be an error.
  const { data: answer } = await mailerlite.subscribers.find(encodeURIComponent(email));
  const { error } = await supabase.from("bench_per_person").upsert({
    id: client.id,
    remote_id: answer.data.id,
    a: client,
    b: answer.data,
    taken_at: new Date().toISOString(),
  });
  if (error !== null) throw new Error(`Cannot write a snapshot: ${error.message}`);
  snapshots++;
  snapshotChars += JSON.stringify(client).length + JSON.stringify(answer.data).length;
}
if (snapshots !== wanted) throw new Error(`Cannot measure: ${snapshots} people of ${wanted}`);

const wallMs = performance.now() - begin;
const { cpuMs, peakRssBytes } = await processStats(Deno.pid);
console.log(JSON.stringify({
  wallMs,
  cpuMs,
  bootCpuMs: boot.cpuMs,
  peakRssBytes,
  snapshots,
  snapshotChars,
}));
