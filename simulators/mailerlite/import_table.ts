import { phpJson } from "./php_json.ts";
import type { AccountGroup } from "./account_group.ts";
import { isoDate } from "./dates.ts";
import type { JsonObject } from "./json.ts";

/** The kinds of rows an import reports (MailerLite docs, Groups, import progress). */
export const IMPORT_KINDS = [
  "invalid",
  "mistyped",
  "changed",
  "unchanged",
  "unsubscribed",
  "role_based",
  "suspicious_format",
  "duplicate",
] as const;

/** A kind of row an import reports. */
export type ImportKind = (typeof IMPORT_KINDS)[number];

interface Sample {
  count: number;
  rows: { id: string | null; email: string }[];
}

/** Documented: each sample holds at most this many rows. */
const SAMPLE_MAX = 5;

/** One import, running or done. */
export class ImportRecord {
  processed = 0;
  imported = 0;
  updated = 0;
  errored = 0;
  /** Seconds since 1970. */
  updatedAt: number;
  finishedAt: number | null = null;
  /** Ids of the subscribers it wrote. */
  readonly touched = new Set<string>();
  readonly seen = new Set<string>();
  readonly samples = new Map<ImportKind, Sample>();

  constructor(
    readonly id: string,
    readonly startedMs: number,
    readonly groups: readonly AccountGroup[],
    readonly items: readonly JsonObject[],
  ) {
    this.updatedAt = Math.floor(startedMs / 1000);
  }

  note(kind: ImportKind, id: string | null, email: string): void {
    const sample = this.samples.get(kind) ?? { count: 0, rows: [] };
    sample.count++;
    if (sample.rows.length < SAMPLE_MAX) sample.rows.push({ id, email });
    this.samples.set(kind, sample);
  }
}

/** The imports of the account, newest last. */
export class ImportTable {
  readonly records: ImportRecord[] = [];

  byId(id: string): ImportRecord | undefined {
    return this.records.find((record) => record.id === id);
  }
}

/** Progress as the API writes it, ISO dates (mailerlite-python cassettes, subscribers-get-import). */
export function importJson(record: ImportRecord, accountId: number, withSamples: boolean): string {
  const total = record.items.length;
  const done = record.finishedAt !== null;
  const kinds = IMPORT_KINDS.flatMap((kind) => {
    const sample = withSamples ? record.samples.get(kind) : undefined;
    return [[kind, sample?.rows ?? []], [`${kind}_count`, sample?.count ?? 0]] as const;
  });
  return phpJson({
    id: record.id,
    account_id: String(accountId),
    total,
    processed: record.processed,
    imported: record.imported,
    updated: record.updated,
    errored: record.errored,
    percent: total === 0 ? 100 : Math.floor((record.processed / total) * 100),
    done,
    ...Object.fromEntries(kinds),
    banned_import_emails_count: 0,
    updated_at: isoDate(record.updatedAt),
    undone_at: null,
    stopped_at: null,
    undo_started_at: null,
    finished_at: record.finishedAt === null ? null : isoDate(record.finishedAt),
  });
}
