import { phpJson } from "./php_json.ts";
import { ACCOUNT } from "./account.ts";
import type { AccountGroup } from "./account_group.ts";
import { type Answer, answer, notFound, unprocessable } from "./answers.ts";
import { type ApiCall, idText, type World } from "./call.ts";
import { importJson, ImportRecord } from "./import_table.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import { pageEnvelope } from "./paging.ts";
import { readSubscriberInput } from "./subscriber_input.ts";
import { upsert } from "./subscriber_write.ts";

const IMPORT_CAP = 1000;

function start(
  world: World,
  call: ApiCall,
  groups: readonly AccountGroup[],
  sent: Json | undefined,
): Answer {
  if (!Array.isArray(sent) || sent.length === 0) {
    return unprocessable({ subscribers: ["The subscribers field is required."] });
  }
  if (world.switches.importMaxItems === "1000" && sent.length > IMPORT_CAP) {
    return unprocessable({
      subscribers: [`The subscribers field must not have more than ${IMPORT_CAP} items.`],
    });
  }
  const items = sent.map((item): JsonObject => (isJsonObject(item) ? item : {}));
  const record = new ImportRecord(
    world.store.ids.next(world.nowMs()),
    world.nowMs(),
    groups,
    items,
  );
  world.imports.records.push(record);
  world.recorder.write(world.nowMs(), "import.create", record.id, call.via);
  return answer(
    200,
    phpJson({ import_progress_url: `${call.base}/subscribers/import/${record.id}` }),
  );
}

/** POST /groups/{id}/import-subscribers: answers at once, works later (MailerLite docs, Groups). */
export function importIntoGroup(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const group = world.store.groups.byId(id);
  return group === undefined
    ? notFound("group", id)
    : start(world, call, [group], call.body["subscribers"]);
}

/** POST /subscribers/import: named by the rate limits, its body is nowhere described. */
export function importSubscribers(world: World, call: ApiCall): Answer {
  if (world.switches.subscribersImport === "reject_422") {
    return unprocessable({ subscribers: ["The subscribers field is required."] });
  }
  const sent = call.body["groups"];
  const ids = Array.isArray(sent) ? sent.map((item) => idText(item)) : [];
  const groups = ids.map((id) => (id === undefined ? undefined : world.store.groups.byId(id)));
  const wrong = groups.findIndex((group) => group === undefined);
  if (wrong >= 0) {
    return unprocessable({ [`groups.${wrong}`]: [`The selected groups.${wrong} is invalid.`] });
  }
  return start(
    world,
    call,
    groups.filter((group) => group !== undefined),
    call.body["subscribers"],
  );
}

function write(world: World, record: ImportRecord): string {
  return importJson(record, ACCOUNT.id, world.switches.importSamples === "filled");
}

/** GET /subscribers/import/{id}. */
export function getImport(world: World, _call: ApiCall, [id = ""]: readonly string[]): Answer {
  const record = world.imports.byId(id);
  return record === undefined
    ? notFound("import", id)
    : answer(200, `{"data":${write(world, record)}}`);
}

/** GET /subscribers/import: newest first, 15 a page (mailerlite-java, TestGetSubscriberImports). */
export function listImports(world: World, call: ApiCall): Answer {
  const records = world.imports.records.toReversed();
  return answer(
    200,
    pageEnvelope(call, records, { perPage: 15, max: 100 }, (record) => write(world, record)),
  );
}

/**
 * Lets running imports work off what their age allows. Called before each
 * request, so that progress depends on the simulator's clock alone.
 */
export function settleImports(world: World, rowsPerSecond: number): void {
  for (const record of world.imports.records) {
    if (record.finishedAt !== null) continue;
    const ageMs = world.nowMs() - record.startedMs;
    const target = Math.min(record.items.length, Math.floor((ageMs / 1000) * rowsPerSecond));
    while (record.processed < target) {
      importRow(world, record, record.items[record.processed] ?? {});
    }
    if (record.processed === record.items.length) record.finishedAt = world.store.nowSeconds();
  }
}

function importRow(world: World, record: ImportRecord, item: JsonObject): void {
  record.processed++;
  record.updatedAt = world.store.nowSeconds();
  // Documented keys alone: an import neither sets a status nor re-activates.
  const body: JsonObject = { email: item["email"] ?? null, fields: item["fields"] ?? null };
  const read = readSubscriberInput(body, world.store, world.switches);
  const shown = typeof body["email"] === "string" ? body["email"] : "";
  if (!read.ok || read.input.email === undefined) return fail(record, "invalid", null, shown);
  const { email, ...input } = read.input;
  if (record.seen.has(email)) return fail(record, "duplicate", null, email);
  record.seen.add(email);
  const done = upsert(world, email, { ...input, groups: [...record.groups] }, "import", "import");
  if (done.kind === "refused") return fail(record, "unsubscribed", done.row.id, email);
  record.touched.add(done.row.id);
  if (done.kind === "created" || done.kind === "revived") record.imported++;
  else if (done.kind === "updated") {
    record.updated++;
    record.note("changed", done.row.id, email);
  } else fail(record, "unchanged", done.row.id, email);
}

/** Unchanged rows count as errored too (MailerLite docs, Groups: 3 total, 3 errored, 3 unchanged). */
function fail(
  record: ImportRecord,
  kind: "invalid" | "duplicate" | "unsubscribed" | "unchanged",
  id: string | null,
  email: string,
): void {
  record.errored++;
  record.note(kind, id, email);
}
