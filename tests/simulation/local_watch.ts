import { canonicalRecord } from "../../shared/merge/canonical.ts";
import type { Doc, Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import type { LocalWrite } from "./check_log.ts";
import { judge, judgeConsent } from "./judge.ts";
import type { LocalChange, Row } from "./simulated_database.ts";
import { slotsOf } from "./versions.ts";
import type { Worker } from "./worker.ts";
import type { World } from "./world.ts";

const MAPPED_COLUMNS = new Set([
  "email",
  "first_name",
  "last_name",
  "company",
  "phone",
  "city",
  "country",
  "marketing_status",
  "groups",
  "updated_at",
]);

function jsonOf(value: unknown): Json {
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

/** Side A as it stands, and what the sync did to it. */
export class LocalWatch {
  readonly clients = new Map<string, Row>();
  readonly partners = new Map<string, Row>();
  /** Clients that a user deleted, with the record of the remote they were linked to then. */
  readonly deleted = new Map<string, string | null>();
  /** Writes of the sync by client and field. */
  readonly writes = new Map<string, number>();
  /** Values that users put into a field. */
  readonly edits = new Map<string, number>();
  /** What the sync changed, one entry a field; partners aside. */
  readonly written: LocalWrite[] = [];
  /** For a record of the remote, the clients that were made of it. */
  readonly made = new Map<string, string[]>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** A client as the sync reads it. */
  canonical(row: Row): CanonicalRecord {
    const doc: Doc = {};
    const partner = this.partners.get(String(row["partner_id"]));
    for (const rule of Object.values(this.#world.rules.fields)) {
      const [head = "", column] = rule.local.split(".");
      doc[rule.local] = jsonOf(column === undefined ? row[head] : partner?.[column]);
    }
    return canonicalRecord(doc, "local", this.#world.rules);
  }

  /** Takes in what was written since the last call. */
  async absorb(): Promise<void> {
    const changes = await this.#world.database.takeChanges();
    for (const change of changes) {
      const worker = this.#world.workers.find(({ name }) => name === change.worker);
      if (change.worker !== null) this.#checkWriter(change, worker);
      if (change.tbl === "partners") this.#absorbPartner(change, worker);
      else this.#absorbClient(change, worker);
    }
  }

  #checkWriter(change: LocalChange, worker: Worker | undefined): void {
    const { dryRun, plan, direction, mode } = worker?.call.body ?? {};
    if (
      dryRun === true || plan === true || direction === "supabase-to-mailerlite" || mode === "AtoB"
    ) {
      this.#world.violate(
        "dry runs and the other direction write nothing",
        `${worker?.name} wrote ${change.tbl}`,
      );
    }
    if (this.#world.leases.isOver(worker)) {
      this.#world.violate(
        "a worker that lost its lease commits nothing",
        `${worker?.name} wrote ${change.tbl}`,
      );
    }
  }

  #absorbPartner({ id, old, new: row, worker }: LocalChange, by: Worker | undefined): void {
    const sharers = [...this.clients].filter(([, client]) => client["partner_id"] === id);
    const before = sharers.map(([, client]) => this.canonical(client));
    if (row === null) this.partners.delete(id);
    else this.partners.set(id, row);
    for (const [index, [clientId, client]] of sharers.entries()) {
      this.#compare(clientId, before[index] ?? {}, this.canonical(client), worker !== null, by);
    }
    if (worker === null || old === null || row === null) return;
    if (by !== undefined) this.#world.wrotePartners.add(by);
    const columns = Object.keys(row).filter((column) =>
      !sameJson(jsonOf(old[column]), jsonOf(row[column]))
    );
    if (columns.some((column) => !["name", "company", "updated_at"].includes(column))) {
      this.#world.violate("unmapped fields and unmanaged groups are never written", "a partner");
    }
  }

  #absorbClient(change: LocalChange, by: Worker | undefined): void {
    const { id, old, new: row, worker, base } = change;
    const isSync = worker !== null;
    if (row === null) {
      this.clients.delete(id);
      if (isSync) this.#checkDelete(id, old ?? {}, base, by);
      else this.deleted.set(id, this.#world.partnerOf("a", id));
      return;
    }
    const before = this.clients.get(id);
    this.clients.set(id, row);
    if (before === undefined) {
      if (isSync) this.#noteInsert(id, row, by);
      else {
        this.#world.versions.begin(
          "a",
          id,
          slotsOf(this.#world.rules, this.canonical(row)),
          this.#world.step,
        );
      }
      return;
    }
    const was = this.canonical(before);
    const now = this.canonical(row);
    this.#compare(id, was, now, isSync, by);
    if (!isSync) return;
    judgeConsent(this.#world, "a", id, was["consent"], now["consent"]);
    this.#checkUnmapped(id, before, row);
    this.#world.touch(by, "a", id);
    for (const [field, after] of Object.entries(now)) {
      if (field.startsWith("partner") || sameJson(was[field], after)) continue;
      this.written.push({ id, action: "update", field, before: was[field] ?? null, after });
    }
  }

  #compare(
    id: string,
    was: CanonicalRecord,
    now: CanonicalRecord,
    isSync: boolean,
    worker: Worker | undefined,
  ): void {
    const { versions, rules } = this.#world;
    const before = slotsOf(rules, was);
    for (const [slot, value] of slotsOf(rules, now)) {
      if (sameJson(before.get(slot), value)) continue;
      const key = `${id}:${slot}`;
      if (!isSync) {
        this.edits.set(key, (this.edits.get(key) ?? 0) + 1);
        versions.edit("a", id, slot, value, this.#world.step, this.#world.linkOf("a", id));
        continue;
      }
      this.writes.set(key, (this.writes.get(key) ?? 0) + 1);
      this.#world.add(`wrote ${this.#world.name("a", id)}.${slot}`);
      const partner = this.#world.partnerOf("a", id);
      const copied = versions.copy("a", id, slot, value, partner, this.#world.step);
      if (copied !== null) {
        const where = { side: "a", record: id, slot, partner } as const;
        judge(this.#world, { ...copied, ...where, worker, readAt: null });
      }
    }
  }

  #checkUnmapped(id: string, before: Row, row: Row): void {
    const columns = Object.keys(row).filter((column) =>
      !sameJson(jsonOf(before[column]), jsonOf(row[column])) && !MAPPED_COLUMNS.has(column)
    );
    const managed = ["Clients", "VIP"];
    const others = (groups: unknown) =>
      Array.isArray(groups) ? groups.filter((name) => !managed.includes(name)) : [];
    if (
      columns.length > 0 || !sameJson(others(before["groups"]), others(row["groups"]))
    ) {
      this.#world.violate(
        "unmapped fields and unmanaged groups are never written",
        `${this.#world.name("a", id)} ${columns.join(",") || "groups"}`,
      );
    }
  }

  #noteInsert(id: string, row: Row, by: Worker | undefined): void {
    const world = this.#world;
    world.touch(by, "a", id);
    this.written.push({ id, action: "create", field: null, before: null, after: null });
    const bId = world.partnerOf("a", id);
    const name = world.name("a", id);
    world.add(`made ${name} of ${bId === null ? "nothing" : world.name("b", bId)}`);
    const slots = slotsOf(world.rules, this.canonical(row));
    const invented = world.versions.copyAll("a", id, slots, bId, world.step)
      .filter((slot) => !slot.startsWith("partner"));
    if (invented.length > 0 || bId === null) {
      world.violate(
        "nothing is invented: what is written stood on the other side",
        `${name} ${invented.join(",")}`,
      );
    }
    if (bId === null) return;
    const earlier = this.made.get(bId) ?? [];
    this.made.set(bId, [...earlier, id]);
    if (earlier.some((other) => this.clients.has(other))) {
      world.violate("one record a person: no second create for the same record", name);
    }
    if ([...this.deleted.values()].includes(bId) && !world.remote.remade.has(bId)) {
      world.violate(
        "no resurrection: a deliberate delete is not undone",
        `${name} of ${world.name("b", bId)}`,
      );
    }
  }

  #checkDelete(id: string, old: Row, base: Row | null, by: Worker | undefined): void {
    const world = this.#world;
    world.touch(by, "a", id);
    this.written.push({ id, action: "delete", field: null, before: null, after: null });
    const name = world.name("a", id);
    world.add(`deleted ${name}`);
    const bId = world.partnerOf("a", id);
    if (bId === null || !world.remote.deleted.has(bId)) {
      world.violate("deletion needs proof: what is called gone was deleted by somebody", name);
    }
    if (world.remote.wholeDecisions.has(id)) return;
    const was = this.canonical(old);
    const edited = Object.keys(was).filter((field) => !sameJson(was[field], jsonOf(base?.[field])));
    if (edited.length > 0) {
      world.violate(
        "no deletion of a record that was edited since the last agreement",
        `${name} ${edited.join(",")}`,
      );
    }
  }
}
