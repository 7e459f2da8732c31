import { decodeSubscriber } from "../../shared/connectors/mailerlite/subscriber.ts";
import { canonicalField, UnreadableValueError } from "../../shared/merge/canonical.ts";
import type { Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import type { FaultRule } from "../../simulators/mailerlite/mod.ts";
import { type ApiItem, itemsOf } from "./api_items.ts";
import { judge, judgeConsent, permission } from "./judge.ts";
import { slotsOf } from "./versions.ts";
import type { Worker } from "./worker.ts";
import type { World } from "./world.ts";

/** A subscriber as the simulator holds it. */
export interface RemoteRow {
  readonly id: string;
  readonly email: string;
  readonly status: string;
  readonly fields: Readonly<Record<string, Json>>;
  readonly groups: readonly { readonly name: string }[];
}

/** What a worker is about to do at the remote, as it wrote it down. */
interface IntentRow {
  readonly aId: string | null;
  readonly bId: string | null;
  readonly operation: string;
  readonly payload: { readonly key?: string };
}

/** What a worker knows of the remote. */
interface Knowledge {
  /** When it last read a record, by id or address, in steps. */
  readonly reads: Map<string, number>;
  /** When it last listed. */
  listedAt: number;
  /** When it last loaded records of side A. */
  loadedAt: number;
  intents: readonly IntentRow[];
}

const UNREADABLE = "(unreadable)";

const MAPPED_FIELDS = [
  "name",
  "last_name",
  "company",
  "phone",
  "city",
  "country",
  "partner_name",
  "partner_company",
];
const MANAGED = ["Clients", "VIP"];

/** Side B as it stands, and what the sync did to it. */
export class RemoteWatch {
  rows: ReadonlyMap<string, RemoteRow> = new Map();
  /** Ids that a user deleted, some time. */
  readonly deleted = new Set<string>();
  /** Ids that a user brought back or made after a delete. */
  readonly remade = new Set<string>();
  /** Addresses that the account knows, deleted ones too. */
  readonly addresses = new Set<string>();
  /** Records of either side about which an operator decided as a whole. */
  readonly wholeDecisions = new Set<string>();
  readonly writes = new Map<string, number>();
  readonly edits = new Map<string, number>();
  /** For a client, the subscribers that were made of it. */
  readonly made = new Map<string, string[]>();
  /** For a subscriber, whom it was last made of. */
  readonly #madeOf = new Map<string, string>();
  /** When requests arrived, in ms since 1970. */
  readonly arrivals: number[] = [];
  readonly #knowledge = new Map<Worker, Knowledge>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** A subscriber as the sync reads it; a value that it cannot read as what it is not. */
  canonical(row: RemoteRow): CanonicalRecord {
    const { rules } = this.#world;
    const decoded = decodeSubscriber(row);
    const doc = decoded.kind === "record" ? decoded.record.doc : {};
    const record: CanonicalRecord = {};
    for (const [field, rule] of Object.entries(rules.fields)) {
      try {
        record[field] = canonicalField(doc[rule.remote], rule, field, rules);
      } catch (error) {
        if (!(error instanceof UnreadableValueError)) throw error;
        record[field] = UNREADABLE;
      }
    }
    return record;
  }

  /** Whether the sync can read a subscriber. */
  isReadable(row: RemoteRow): boolean {
    return !Object.values(this.canonical(row)).includes(UNREADABLE);
  }

  knowledgeOf(worker: Worker): Knowledge {
    const known = this.#knowledge.get(worker);
    if (known !== undefined) return known;
    const fresh: Knowledge = { reads: new Map(), listedAt: -1, loadedAt: -1, intents: [] };
    this.#knowledge.set(worker, fresh);
    return fresh;
  }

  /** Takes in what a user did. */
  absorbUser(): void {
    const { versions, rules, step } = this.#world;
    const before = this.rows;
    this.#read();
    for (const [id, row] of this.rows) {
      const was = before.get(id);
      const now = this.canonical(row);
      if (was === undefined) {
        if (this.deleted.has(id)) this.remade.add(id);
        versions.begin(
          "b",
          id,
          slotsOf(rules, now),
          step,
          this.#world.linkOf("b", id)?.partner ?? null,
        );
        continue;
      }
      const old = slotsOf(rules, this.canonical(was));
      for (const [slot, value] of slotsOf(rules, now)) {
        if (sameJson(old.get(slot), value)) continue;
        const key = `${id}:${slot}`;
        this.edits.set(key, (this.edits.get(key) ?? 0) + 1);
        versions.edit("b", id, slot, value, step, this.#world.linkOf("b", id));
      }
    }
    for (const id of before.keys()) {
      if (this.rows.has(id)) continue;
      this.deleted.add(id);
      this.remade.delete(id);
    }
  }

  #read(): void {
    const rows = new Map<string, RemoteRow>();
    for (const text of this.#world.simulator.readAllJson()) {
      const row: RemoteRow = JSON.parse(text);
      rows.set(row.id, row);
      this.addresses.add(row.email);
    }
    this.rows = rows;
  }

  /** Answers a request of a worker, with a fault or without. */
  async answer(worker: Worker, request: Request, fault: FaultRule | null): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.replace(/^\/api\//, "");
    const text = request.body === null ? "" : await request.text();
    const items = itemsOf(request.method, path, text);
    const { pageSize } = this.#world.weather;
    if (pageSize !== null && url.searchParams.has("limit") && path === "subscribers") {
      url.searchParams.set(
        "limit",
        String(Math.min(pageSize, Number(url.searchParams.get("limit")))),
      );
    }
    const init = {
      method: request.method,
      headers: request.headers,
      ...(text === "" ? {} : { body: text }),
    };
    this.arrivals.push(this.#world.scheduler.now());
    this.#world.simulator.setFaults(fault === null ? [] : [fault]);
    try {
      return await this.#world.simulator.handle(new Request(url, init));
    } finally {
      this.#world.simulator.setFaults([]);
      this.#noteReads(worker, items, url);
      if (items.some(({ method }) => method !== "GET")) await this.#absorb(worker, items);
    }
  }

  #noteReads(worker: Worker, items: readonly ApiItem[], url: URL): void {
    const known = this.knowledgeOf(worker);
    const { step } = this.#world;
    for (const { method, path } of items) {
      const [head, key] = path.split("?")[0]?.split("/") ?? [];
      if (method !== "GET" || head !== "subscribers") continue;
      if (key === undefined) {
        if (!url.searchParams.has("cursor")) known.listedAt = step;
        continue;
      }
      const name = decodeURIComponent(key);
      known.reads.set(name, step);
      const row = this.rows.get(name);
      const edited = row !== undefined &&
        [...slotsOf(this.#world.rules, this.canonical(row)).keys()]
          .some((slot) => {
            const current = this.#world.versions.current("b", name, slot);
            return current?.by === "user" && current.side === "b" && current.at > known.listedAt;
          });
      if (edited && known.listedAt >= 0) {
        this.#world.reach("a record changed between list and confirmation");
      }
    }
  }

  /** Takes in what a worker did. */
  async #absorb(worker: Worker, items: readonly ApiItem[]): Promise<void> {
    const before = this.rows;
    this.#read();
    for (const [id, row] of this.rows) {
      const was = before.get(id);
      if (was === undefined) this.#noteCreate(worker, row);
      else if (!sameJson(jsonOf(was), jsonOf(row))) this.#noteUpdate(worker, was, row, items);
    }
    for (const [id, row] of before) {
      if (!this.rows.has(id)) await this.#noteDelete(worker, row);
    }
  }

  #checkWriter(worker: Worker): void {
    const { dryRun, plan, direction, mode } = worker.call.body;
    if (
      dryRun === true || plan === true || direction === "mailerlite-to-supabase" ||
      mode === "BtoA" || worker.call.functionName === "backfill-sync"
    ) {
      this.#world.violate("dry runs and the other direction write nothing", `${worker.name} wrote`);
    }
  }

  #clientOf(worker: Worker, row: RemoteRow): string | null {
    const intent = this.knowledgeOf(worker).intents.find(({ operation, payload }) =>
      operation === "create" && payload.key === row.email
    );
    return intent?.aId ?? null;
  }

  #noteCreate(worker: Worker, row: RemoteRow): void {
    const world = this.#world;
    this.#checkWriter(worker);
    world.touch(worker, "b", row.id);
    const aId = this.#clientOf(worker, row);
    const name = world.name("b", row.id);
    world.add(`made ${name} of ${aId === null ? "nothing" : world.name("a", aId)}`);
    if (aId === null) {
      world.violate("nothing is invented: what is written stood on the other side", name);
      return;
    }
    const isBack = world.versions.history("b", row.id, "email").length > 0;
    const slots = slotsOf(world.rules, this.canonical(row));
    slots.delete("consent");
    const invented = world.versions.copyAll("b", row.id, slots, aId, world.step)
      .filter((slot) => !slot.startsWith("partner"));
    world.versions.begin(
      "b",
      row.id,
      new Map([["consent", this.canonical(row)["consent"] ?? null]]),
      world.step,
    );
    if (invented.length > 0 && !isBack) {
      world.violate(
        "nothing is invented: what is written stood on the other side",
        `${name} ${invented.join(",")}`,
      );
    }
    this.#checkConsentOfNew(worker, row, aId);
    const earlier = this.made.get(aId) ?? [];
    this.made.set(aId, [...earlier, row.id]);
    // Whoever has another key by now cannot be found, unless the sync once knew whose it is; taken
    // for a stranger, it belongs to somebody else since.
    const isKnown = (other: string) =>
      this.#madeOf.get(other) === aId &&
      (this.rows.get(other)?.email === world.versions.history("b", other, "email")[0]?.value ||
        world.linkOf("b", other) !== null && world.partners.get(aId)?.has(other) === true);
    // Deleted and brought back for somebody else, it is theirs.
    this.#madeOf.set(row.id, aId);
    if (earlier.some((other) => other !== row.id && this.rows.has(other) && isKnown(other))) {
      world.violate("one record a person: no second create for the same record", name);
    }
    const partner = world.partnerOf("a", aId);
    if (partner === row.id && this.deleted.has(row.id) && !this.remade.has(row.id)) {
      world.violate(
        "no resurrection: a deliberate delete is not undone",
        `${name} of ${world.name("a", aId)}`,
      );
    }
  }

  #checkConsentOfNew(worker: Worker, row: RemoteRow, aId: string): void {
    const world = this.#world;
    const name = world.name("a", aId);
    const client = world.local.clients.get(aId);
    const consent = world.versions.current("a", aId, "consent");
    const isNew = consent !== undefined && consent.at >= this.knowledgeOf(worker).loadedAt;
    const allowed = permission(String(client?.["marketing_status"] ?? "unsubscribed"));
    const isAsked = client?.["marketing_status"] !== "none";
    if (!isNew && client !== undefined && (permission(row.status) > allowed || !isAsked)) {
      world.violate("nobody is created whom the consent does not allow", name);
    }
    if (world.forbidden.has(row.email)) {
      world.violate(
        "nobody is created whom the consent does not allow",
        `${name}, who left before`,
      );
    }
  }

  #noteUpdate(worker: Worker, was: RemoteRow, row: RemoteRow, items: readonly ApiItem[]): void {
    const world = this.#world;
    world.touch(worker, "b", row.id);
    const before = this.canonical(was);
    const now = this.canonical(row);
    const known = this.knowledgeOf(worker);
    const name = world.name("b", row.id);
    const isUpsert = items.some(({ method, path, body }) =>
      method === "POST" && path === "subscribers" && body?.email === was.email
    );
    const readAt = isUpsert
      ? known.reads.get(was.email) ?? known.listedAt
      : known.reads.get(row.id) ?? known.reads.get(was.email) ?? known.listedAt;
    const intended = isUpsert
      ? this.#clientOf(worker, row)
      : known.intents.find(({ bId }) => bId === row.id)?.aId;
    const partner = intended ?? world.partnerOf("b", row.id);
    const old = slotsOf(world.rules, before);
    for (const [slot, value] of slotsOf(world.rules, now)) {
      if (sameJson(old.get(slot), value)) continue;
      this.#checkWriter(worker);
      const key = `${row.id}:${slot}`;
      this.writes.set(key, (this.writes.get(key) ?? 0) + 1);
      world.add(`wrote ${name}.${slot}`);
      const copied = world.versions.copy("b", row.id, slot, value, partner, world.step);
      if (copied !== null) {
        judge(world, { ...copied, side: "b", record: row.id, slot, partner, worker, readAt });
      }
    }
    judgeConsent(world, "b", row.id, before["consent"], now["consent"]);
    const unmapped = Object.keys(row.fields).filter((field) =>
      !MAPPED_FIELDS.includes(field) && !sameJson(was.fields[field], row.fields[field])
    );
    const others = ({ groups }: RemoteRow) =>
      groups.map((group) => group.name).filter((group) => !MANAGED.includes(group)).sort();
    if (unmapped.length > 0 || !sameJson(others(was), others(row))) {
      world.violate(
        "unmapped fields and unmanaged groups are never written",
        `${name} ${unmapped.join(",") || "groups"}`,
      );
    }
  }

  async #noteDelete(worker: Worker, row: RemoteRow): Promise<void> {
    const world = this.#world;
    const name = world.name("b", row.id);
    this.#checkWriter(worker);
    world.touch(worker, "b", row.id);
    world.add(`deleted ${name}`);
    const aId = world.partnerOf("b", row.id);
    if (aId === null || !world.local.deleted.has(aId) || world.local.clients.has(aId)) {
      world.violate("deletion needs proof: what is called gone was deleted by somebody", name);
    }
    if (this.wholeDecisions.has(row.id)) return;
    const [shadow] = await world.database.pool.query<{ b: CanonicalRecord }>(
      `select s.b from public.shadow_snapshots s
       join public.integration_crosswalk cw on cw.id = s.crosswalk_id where cw.b_id = $1`,
      [row.id],
    );
    const readAt = this.knowledgeOf(worker).reads.get(row.id) ?? -1;
    const now = this.canonical(row);
    const edited = Object.keys(now).filter((field) => {
      if (sameJson(now[field], shadow?.b[field])) return false;
      const rule = world.rules.fields[field];
      const slots = rule?.kind === "set" ? rule.managed.map((each) => `${field}/${each}`) : [field];
      return !slots.some((slot) => (world.versions.current("b", row.id, slot)?.at ?? -1) >= readAt);
    });
    if (edited.length > 0) {
      world.violate(
        "no deletion of a record that was edited since the last agreement",
        `${name} ${edited.join(",")}`,
      );
    }
  }
}

function jsonOf(row: RemoteRow): Json {
  return {
    email: row.email,
    status: row.status,
    fields: row.fields,
    groups: row.groups.map(({ name }) => name).sort(),
  };
}
