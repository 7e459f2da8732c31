/**
 * `verify`: lists both sides and compares them.
 *
 * @module
 */
import { z } from "zod";
import type { SyncConfig } from "../../shared/engine/config.ts";
import type { Pair } from "../../shared/engine/pair.ts";
import type { Json } from "../../shared/merge/json.ts";
import { audit, type AuditReport, hasDrift } from "./audit.ts";
import { readLinks, readLivingLinks } from "./audit_links.ts";
import { type Addresses, auditJson, describeAudit, listed } from "./audit_report.ts";
import { choosePair } from "./choose_pair.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { count } from "./format.ts";
import { type LocalReader, openLocalReader } from "./local_reader.ts";
import { readOpenConflicts } from "./open_conflicts.ts";
import { ProgressBar } from "./progress_bar.ts";
import { readArguments, readWholeNumber } from "./read_arguments.ts";
import { readRowsOf } from "./read_rows.ts";
import { openRemoteReader, type RemoteProcess, type RemoteReader } from "./remote_reader.ts";
import type { SyncClient } from "./sync_client.ts";

/** Records listed by name unless more are asked for. */
const LISTED = 50;

/** What `verify` gets from its process. */
export interface VerifyProcess extends RemoteProcess {
  readonly config: SyncConfig;
}

async function readSuppressed(
  client: SyncClient,
  pair: string,
  digests: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await readRowsOf(
    client,
    { table: "sync_suppressions", columns: "key_digest", where: [["pair", "eq", pair]] },
    z.object({ key_digest: z.string() }),
    "key_digest",
    digests,
  );
  return new Set(rows.map(({ key_digest }) => key_digest));
}

/** The addresses of what is listed, read again. */
async function readAddresses(
  report: AuditReport,
  limit: number,
  pair: Pair,
  local: LocalReader,
  remote: RemoteReader,
): Promise<Addresses> {
  const { findings, looseLocal, looseRemote } = listed(report, limit);
  const key = pair.rules.fields[pair.rules.keyField];
  const addresses = new Map<string, string>();
  const add = (name: string, value: Json | undefined) => {
    if (typeof value === "string") addresses.set(name, value);
  };
  if (key === undefined) return addresses;
  const aIds = [...findings.map(({ aId }) => aId), ...looseLocal.map(({ id }) => id)];
  for (const { id, doc } of await local.readByIds(aIds)) add(`a:${id}`, doc[key.local]);
  const gone = findings.filter(({ what }) => what === "local_missing");
  const bIds = [...gone.map(({ bId }) => bId), ...looseRemote.map(({ id }) => id)];
  const remotes = await remote.get(bIds);
  for (const [id, record] of remotes) {
    if (record !== null && record !== "unreadable") add(`b:${id}`, record.doc[key.remote]);
  }
  for (const { aId, bId } of gone) add(`a:${aId}`, addresses.get(`b:${bId}`));
  return addresses;
}

async function verify(
  process: VerifyProcess,
  context: CommandContext,
  settings: ReturnType<typeof readVerifySettings>,
): Promise<ExitCode> {
  const { client, print, sleep } = context;
  const { limit, show, json } = settings;
  const pair = choosePair(process.config, settings.pair);
  const bar = new ProgressBar(context.progress);
  const tell = (phase: string, share: number, parts: readonly string[] = []) => {
    if (!json) bar.showProgress({ share, isDone: false, parts, phase });
  };
  const remote = openRemoteReader(process, sleep, pair);
  await using local = await openLocalReader(process.env, client, pair);
  const links = await readLinks(client, pair.name, (n) => tell("Reading the links", 0, [count(n)]));
  const report = await audit({
    pair,
    local,
    remote,
    links,
    readConflicts: () => readOpenConflicts(client, pair.name),
    readLiving: (column, values) => readLivingLinks(client, pair.name, column, values),
    readSuppressed: (digests) => readSuppressed(client, pair.name, digests),
    onProgress: (phase, share) => tell(phase, share, [`${count(links.ids.length)} linked`]),
  });
  bar.end();
  const addresses = show ? await readAddresses(report, limit, pair, local, remote) : new Map();
  print(json ? auditJson(report, limit, addresses) : describeAudit(report, limit, addresses));
  return hasDrift(report) ? EXIT_CODE.failedRun : EXIT_CODE.ok;
}

/** Reads the options of `verify`. @throws {UsageError} */
export function readVerifySettings(args: readonly string[]) {
  const { values, positionals } = readArguments(args, {
    show: { type: "boolean", default: false },
    limit: { type: "string" },
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  if (positionals.length > 0) {
    throw new UsageError("Cannot tell what to do: 'verify' takes options only");
  }
  const limit = values.limit === undefined ? LISTED : readWholeNumber("--limit", values.limit);
  return { show: values.show, limit, pair: values.pair, json: values.json };
}

const USAGE =
  `List both sides, compare them record by record, and tell what differs. Writes nothing.

Usage: deno task sync verify [options]

  --show         show addresses in the lists; without it, ids alone
  --limit <n>    records of each kind to list (default ${LISTED})
  --pair <name>  which pair of sync.config.ts, where there are several
  --json         print one line of JSON instead of words

The key of the remote (MAILERLITE_API_KEY, and MAILERLITE_API_URL where it is not the usual one) must
be in the environment; at most half of its budget of requests is used. Side A is read over the Data
API, or over SYNC_DB_URL or SUPABASE_DB_URL where one is set.

Of what the sync remembers only the links are used, so this tells of a sync that is wrong about what
it did. What differs is read a second time before it is told, since people edit meanwhile. Where a
person allows different things on both sides and neither forbids, where both forbid in different
words, and where there is no record in supabase to hold a value, the sides may differ for good: that
is counted, and is no drift. A field that flows one way only may look like drift after an edit of
its target.

Exits with 0 when both sides agree, 1 when they differ or fields wait for a person, 2 when one of
them could not be read to its end.

Examples:
  deno task sync verify
  deno task sync verify --show --limit 500
`;

/** Makes `verify`. */
export function verifyCommand(process: VerifyProcess): Command {
  return {
    name: "verify",
    summary: "list both sides and tell what differs",
    usage: USAGE,
    read(args) {
      const settings = readVerifySettings(args);
      return (context) => verify(process, context, settings);
    },
  };
}
