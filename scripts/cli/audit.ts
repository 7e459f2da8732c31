/**
 * An audit of both sides that believes nothing the sync remembers but which
 * record belongs to which: it lists both sides itself, compares them, and looks
 * at whatever differs a second time, since both sides are edited meanwhile.
 *
 * In memory: the links, one number a field and link, one a key. Records are not kept.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Pair } from "../../shared/engine/pair.ts";
import { canonicalRecord, UnreadableValueError } from "../../shared/merge/canonical.ts";
import type { Doc } from "../../shared/merge/json.ts";
import type { CanonicalRecord } from "../../shared/merge/pair.ts";
import { planNewLocal, planNewRemote } from "../../shared/merge/plan_new.ts";
import {
  type AcceptedReason,
  compareFingerprint,
  compareRecords,
  fingerprintOf,
} from "./audit_fields.ts";
import { Keys, type Loose, looseReasonOf } from "./audit_keys.ts";
import type { LinkRow, Links } from "./audit_links.ts";
import { hash53 } from "./hash53.ts";
import type { LocalReader } from "./local_reader.ts";
import type { RemoteReader } from "./remote_reader.ts";

/** A linked pair that is not as it should be. */
export interface PairFinding {
  readonly aId: string;
  readonly bId: string;
  /** `different`, or which side has no such record. */
  readonly what: "different" | "local_missing" | "remote_missing" | "both_missing" | "unreadable";
  readonly fields: readonly string[];
  /** Of the fields, those that wait for a person. */
  readonly inConflict: readonly string[];
}

/** A record without a living link. */
export interface LooseRecord {
  readonly id: string;
  /** Why it has none; null if the next run should link it or create its partner. */
  readonly reason: string | null;
}

/** What an audit found. */
export interface AuditReport {
  readonly local: number;
  readonly remote: number;
  readonly linked: number;
  readonly equal: number;
  readonly findings: readonly PairFinding[];
  /** Findings that were not looked at a second time, as there were too many. */
  readonly unconfirmed: number;
  /** Fields that differ and may, with how many pairs, as `field reason`. */
  readonly accepted: ReadonlyMap<string, number>;
  readonly looseLocal: readonly LooseRecord[];
  readonly looseRemote: readonly LooseRecord[];
  /** Records without a link that cannot be read. */
  readonly unreadableLocal: readonly string[];
  readonly unreadableRemote: readonly string[];
  /** Open conflicts of the pair, on whatever record. */
  readonly openConflicts: number;
}

/** Whether anything is not as it should be. */
export function hasDrift(report: AuditReport): boolean {
  const { findings, looseLocal, looseRemote, unreadableLocal, unreadableRemote, openConflicts } =
    report;
  return findings.length + unreadableLocal.length + unreadableRemote.length + openConflicts > 0 ||
    [...looseLocal, ...looseRemote].some(({ reason }) => reason === null);
}

/** What an audit needs. */
export interface AuditDeps {
  readonly pair: Pair;
  readonly local: LocalReader;
  readonly remote: RemoteReader;
  readonly links: Links;
  /** Fields with an open conflict, by link; read after both sides. */
  readonly readConflicts: () => Promise<
    { readonly open: number; readonly fields: ReadonlyMap<number, readonly string[]> }
  >;
  /** The living links of records, as they are now. */
  readonly readLiving: (
    column: "id" | "a_id" | "b_id",
    values: readonly (string | number)[],
  ) => Promise<readonly LinkRow[]>;
  /** Which of these digests are of keys that must not be written to. */
  readonly readSuppressed: (digests: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly onProgress?: (phase: string, share: number) => void;
}

/** Findings that are looked at a second time: a hundred requests at the remote. */
const CONFIRMED = 5_000;
const CONFIRM_AT_ONCE = 200;

const NOT_SEEN = 0;
const SEEN = 1;
const UNREADABLE = 2;

class Audit {
  readonly #deps: AuditDeps;
  readonly #width: number;
  readonly #remoteFields: Float64Array;
  readonly #remoteSeen: Uint8Array;
  readonly #localSeen: Uint8Array;
  readonly #localKeys = new Keys();
  readonly #remoteKeys = new Keys();
  readonly #looseLocal = new Map<string, Loose>();
  readonly #looseRemote = new Map<string, Loose>();
  readonly #unreadableLocal: string[] = [];
  readonly #unreadableRemote: string[] = [];
  readonly #accepted = new Map<string, number>();
  /** Places of links that differ. */
  readonly #suspects = new Map<number, readonly string[]>();
  #local = 0;
  #remote = 0;

  constructor(deps: AuditDeps) {
    const { links, pair } = deps;
    this.#deps = deps;
    this.#width = Object.keys(pair.rules.fields).length;
    this.#remoteFields = new Float64Array(links.ids.length * this.#width);
    this.#remoteSeen = new Uint8Array(links.ids.length);
    this.#localSeen = new Uint8Array(links.ids.length);
  }

  #canonical(doc: Doc, side: "local" | "remote"): CanonicalRecord | null {
    try {
      return canonicalRecord(doc, side, this.#deps.pair.rules);
    } catch (error) {
      if (error instanceof UnreadableValueError) return null;
      throw error;
    }
  }

  #keyOf(record: CanonicalRecord): string {
    const key = record[this.#deps.pair.rules.keyField];
    return typeof key === "string" ? key : "";
  }

  async readRemote(): Promise<void> {
    const { remote, links, pair } = this.#deps;
    for await (const page of remote.list()) {
      for (const { id, doc } of page.records) {
        const place = links.placeOfB.get(id);
        // Somebody whose status changes while the list is read may come up twice.
        const again = place === undefined
          ? this.#looseRemote.has(id)
          : this.#remoteSeen[place] !== NOT_SEEN;
        const record = this.#canonical(doc, "remote");
        if (!again) {
          this.#remote++;
          if (record !== null) {
            this.#remoteKeys.add(hash53(this.#keyOf(record)), place !== undefined);
          }
        }
        if (place === undefined) this.#addLooseRemote(id, record, again);
        else if (record === null) this.#remoteSeen[place] = UNREADABLE;
        else {
          this.#remoteSeen[place] = SEEN;
          this.#remoteFields.set(fingerprintOf(record, pair.rules), place * this.#width);
        }
      }
      for (const id of page.unreadable) this.#addUnreadableRemote(id);
      this.#deps.onProgress?.(`Reading the remote: ${this.#remote} records so far`, 0);
    }
  }

  #addUnreadableRemote(id: string | null): void {
    this.#remote++;
    const place = id === null ? undefined : this.#deps.links.placeOfB.get(id);
    if (place === undefined) this.#unreadableRemote.push(id ?? "(no id)");
    else this.#remoteSeen[place] = UNREADABLE;
  }

  #addLooseRemote(id: string, record: CanonicalRecord | null, again: boolean): void {
    if (record === null) {
      if (!again) this.#unreadableRemote.push(id);
      return;
    }
    const plan = planNewLocal(this.#deps.pair.rules, record);
    const lost = this.#deps.links.lostB.get(id);
    const reason = lost ?? (plan.kind === "excluded" ? plan.reason : null);
    this.#looseRemote.set(id, { reason, key: hash53(this.#keyOf(record)) });
  }

  async readLocal(): Promise<void> {
    const { local, links } = this.#deps;
    let after: string | null = null;
    for (;;) {
      const page = await local.readPage(after);
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.id;
      for (const { id, doc } of page) {
        this.#local++;
        const place = links.placeOfA.get(id);
        const record = this.#canonical(doc, "local");
        if (record !== null) this.#localKeys.add(hash53(this.#keyOf(record)), place !== undefined);
        if (place === undefined) this.#addLooseLocal(id, record);
        else if (record === null) this.#localSeen[place] = UNREADABLE;
        else this.#compare(place, record, doc);
      }
      const share = this.#local / Math.max(1, this.#remote);
      this.#deps.onProgress?.(`Comparing: ${this.#local} local records so far`, share);
    }
  }

  #addLooseLocal(id: string, record: CanonicalRecord | null): void {
    const { rules, name } = this.#deps.pair;
    if (record === null) {
      this.#unreadableLocal.push(id);
      return;
    }
    const text = this.#keyOf(record);
    const key = hash53(text);
    const lost = this.#deps.links.lostA.get(id);
    const plan = planNewRemote(rules, record, { suppressed: false });
    if (lost !== undefined) this.#looseLocal.set(id, { reason: lost, key });
    else if (plan.kind === "excluded") this.#looseLocal.set(id, { reason: plan.reason, key });
    else {
      const digest = createHash("sha256").update(`${name}:${text}`).digest("hex");
      this.#looseLocal.set(id, { reason: null, key, digest });
    }
  }

  #accept(found: readonly (readonly [string, AcceptedReason])[]): void {
    for (const [field, reason] of found) {
      const name = `${field} ${reason}`;
      this.#accepted.set(name, (this.#accepted.get(name) ?? 0) + 1);
    }
  }

  #compare(place: number, record: CanonicalRecord, doc: Doc): void {
    this.#localSeen[place] = SEEN;
    if (this.#remoteSeen[place] !== SEEN) return;
    const { rules } = this.#deps.pair;
    const found = compareFingerprint(record, doc, this.#remoteFields, place * this.#width, rules);
    if (found.fields.length > 0) this.#suspects.set(place, found.fields);
    else this.#accept(found.accepted);
  }

  /** What is to be looked at again: links that differ, or of which a side was not seen. */
  #doubtful(): number[] {
    const places: number[] = [];
    for (let place = 0; place < this.#localSeen.length; place++) {
      const isSeen = this.#localSeen[place] === SEEN && this.#remoteSeen[place] === SEEN;
      if (!isSeen || this.#suspects.has(place)) places.push(place);
    }
    return places;
  }

  #asSeen(place: number): Omit<PairFinding, "inConflict"> {
    const { links } = this.#deps;
    const [a, b] = [this.#localSeen[place], this.#remoteSeen[place]];
    const what = a === UNREADABLE || b === UNREADABLE
      ? "unreadable"
      : a === NOT_SEEN
      ? b === NOT_SEEN ? "both_missing" : "local_missing"
      : b === NOT_SEEN
      ? "remote_missing"
      : "different";
    const fields = this.#suspects.get(place) ?? [];
    return { aId: links.aIds[place] ?? "", bId: links.bIds[place] ?? "", what, fields };
  }

  /** Reads both sides of doubtful links again, by their ids. */
  async #confirm(places: readonly number[]): Promise<Omit<PairFinding, "inConflict">[]> {
    const { links, local, remote, readLiving, pair } = this.#deps;
    const findings: Omit<PairFinding, "inConflict">[] = [];
    const ids = (of: readonly string[]) => places.flatMap((place) => of[place] ?? []);
    const living = new Set(
      (await readLiving("id", places.flatMap((place) => links.ids[place] ?? []))).map(({ id }) =>
        id
      ),
    );
    const locals = new Map(
      (await local.readByIds(ids(links.aIds))).map(({ id, doc }) => [id, doc]),
    );
    const remotes = await remote.get(ids(links.bIds));
    for (const place of places) {
      // A run has given it up meanwhile, or made another.
      if (!living.has(links.ids[place] ?? 0)) continue;
      const [aId, bId] = [links.aIds[place] ?? "", links.bIds[place] ?? ""];
      const doc = locals.get(aId);
      const other = remotes.get(bId) ?? null;
      const finding = { aId, bId, fields: [] };
      if (doc === undefined || other === null) {
        const what = doc !== undefined
          ? "remote_missing"
          : other !== null
          ? "local_missing"
          : "both_missing";
        findings.push({ ...finding, what });
        continue;
      }
      const a = this.#canonical(doc, "local");
      const b = other === "unreadable" ? null : this.#canonical(other.doc, "remote");
      if (a === null || b === null) {
        findings.push({ ...finding, what: "unreadable" });
        continue;
      }
      const { fields, accepted } = compareRecords(a, doc, b, pair.rules);
      if (fields.length > 0) findings.push({ ...finding, what: "different", fields });
      else this.#accept(accepted);
    }
    return findings;
  }

  async #judge(
    loose: ReadonlyMap<string, Loose>,
    column: "a_id" | "b_id",
    own: Keys,
    other: Keys,
  ): Promise<LooseRecord[]> {
    const { readLiving, readSuppressed } = this.#deps;
    const judged = [...loose].map(([id, one]) => ({
      id,
      reason: looseReasonOf(one, own, other),
      // Where somebody on the other side has the same key, nobody is to be created.
      digest: other.count(one.key) === 0 ? one.digest : undefined,
    }));
    const open = judged.filter(({ reason }) => reason === null);
    const digests = open.flatMap(({ digest }) => digest ?? []);
    const suppressed = await readSuppressed(digests);
    const linked = await readLiving(column, open.map(({ id }) => id));
    const meanwhile = new Set(linked.map((row) => row[column]));
    return judged.flatMap(({ id, reason, digest }): LooseRecord[] => {
      if (reason !== null) return [{ id, reason }];
      if (meanwhile.has(id)) return [];
      const isSuppressed = digest !== undefined && suppressed.has(digest);
      return [{ id, reason: isSuppressed ? "suppressed" : null }];
    });
  }

  async report(): Promise<AuditReport> {
    const { links, readConflicts, onProgress } = this.#deps;
    const doubtful = this.#doubtful();
    const again = doubtful.slice(0, CONFIRMED);
    const found: Omit<PairFinding, "inConflict">[] = [];
    for (let from = 0; from < again.length; from += CONFIRM_AT_ONCE) {
      onProgress?.(`Looking at ${again.length} pairs a second time`, from / again.length);
      found.push(...await this.#confirm(again.slice(from, from + CONFIRM_AT_ONCE)));
    }
    const rest = doubtful.slice(CONFIRMED).map((place) => this.#asSeen(place));
    const conflicts = await readConflicts();
    const findings = [...found, ...rest].map((finding): PairFinding => {
      const place = links.placeOfA.get(finding.aId);
      const waiting = conflicts.fields.get(place === undefined ? 0 : links.ids[place] ?? 0) ?? [];
      return { ...finding, inConflict: finding.fields.filter((field) => waiting.includes(field)) };
    });
    return {
      local: this.#local,
      remote: this.#remote,
      linked: links.ids.length,
      equal: links.ids.length - findings.length,
      findings,
      unconfirmed: rest.length,
      accepted: this.#accepted,
      looseLocal: await this.#judge(this.#looseLocal, "a_id", this.#localKeys, this.#remoteKeys),
      looseRemote: await this.#judge(this.#looseRemote, "b_id", this.#remoteKeys, this.#localKeys),
      unreadableLocal: this.#unreadableLocal,
      unreadableRemote: this.#unreadableRemote,
      openConflicts: conflicts.open,
    };
  }
}

/** Audits both sides. @throws {LookError}, {RefusedError} if one of them cannot be read to its end */
export async function audit(deps: AuditDeps): Promise<AuditReport> {
  const work = new Audit(deps);
  await work.readRemote();
  await work.readLocal();
  return await work.report();
}
