/**
 * What an audit found, for a person and for a machine.
 *
 * @module
 */
import { type AuditReport, hasDrift, type LooseRecord, type PairFinding } from "./audit.ts";
import { renderRows } from "./columns.ts";
import { count } from "./format.ts";
import { renderTable } from "./table.ts";

/** Addresses of records, by `a:<id>` and `b:<id>`; empty unless they were asked for. */
export type Addresses = ReadonlyMap<string, string>;

const REASONS: Readonly<Record<string, string>> = {
  policy: "not created: the configuration says so",
  no_key: "no address",
  no_consent: "not created: nobody knows what the person allows",
  consent: "not created: the person does not allow it",
  suppressed: "not created: this person left before",
  duplicate_key: "quarantined: several records share the address",
  key_taken: "quarantined: the address belongs to a record that is linked to another",
  keep_apart: "kept apart by a person",
  a_missing: "its partner in supabase is gone",
  b_missing: "its partner at the remote is gone",
  unlinked: "its link was given up",
  consent_never_raised: "what a person allows is never raised",
  consent_both_forbid: "both sides forbid, in different words",
  no_reference: "there is no record in supabase to hold it",
};

/** A reason's words; null stands for what the next run should do something about. */
export function looseReason(reason: string | null): string {
  return reason === null ? "NOT LINKED: to be linked or created" : REASONS[reason] ?? reason;
}

const FINDINGS: Readonly<Record<PairFinding["what"], string>> = {
  different: "different",
  local_missing: "gone from supabase",
  remote_missing: "gone from the remote",
  both_missing: "gone from both sides",
  unreadable: "unreadable",
};

function tally(names: Iterable<string>): (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].toSorted(([, one], [, other]) => other - one);
}

function summary(report: AuditReport): string {
  const { findings, looseLocal, looseRemote } = report;
  const rows: string[][] = [
    ["records in supabase", count(report.local)],
    ["records at the remote", count(report.remote)],
    ["linked pairs", count(report.linked)],
    ["  equal", count(report.equal)],
    ...tally(findings.map(({ what }) => FINDINGS[what])).map((
      [what, n],
    ) => [`  ${what}`, count(n)]),
    ...tally(findings.flatMap(({ fields }) => fields)).map((
      [field, n],
    ) => [`    ${field}`, count(n)]),
    ...[...report.accepted].map(([name, n]) => {
      const [field = "", reason = ""] = name.split(" ");
      return [`  may differ on ${field}: ${REASONS[reason] ?? reason}`, count(n)];
    }),
  ];
  const loose = (title: string, records: readonly LooseRecord[], unreadable: readonly string[]) => {
    rows.push([title, count(records.length + unreadable.length)]);
    for (const [why, n] of tally(records.map(({ reason }) => looseReason(reason)))) {
      rows.push([`  ${why}`, count(n)]);
    }
    if (unreadable.length > 0) rows.push(["  unreadable", count(unreadable.length)]);
  };
  loose("without a link, in supabase", looseLocal, report.unreadableLocal);
  loose("without a link, at the remote", looseRemote, report.unreadableRemote);
  rows.push(["fields in conflict", count(report.openConflicts)]);
  return renderTable(rows);
}

function fieldsOf({ fields, inConflict }: PairFinding): string {
  return fields.map((field) => inConflict.includes(field) ? `${field} (in conflict)` : field).join(
    ", ",
  );
}

/** What is listed by name: all that is not as it should be, up to a limit of each kind. */
export function listed(report: AuditReport, limit: number) {
  const open = (records: readonly LooseRecord[]) =>
    records.filter(({ reason }) => reason === null || reason === "duplicate_key").slice(0, limit);
  return {
    findings: report.findings.slice(0, limit),
    looseLocal: open(report.looseLocal),
    looseRemote: open(report.looseRemote),
  };
}

/** The report for a person. */
export function describeAudit(report: AuditReport, limit: number, addresses: Addresses): string {
  const { findings, looseLocal, looseRemote } = listed(report, limit);
  const address = (key: string) => addresses.size === 0 ? [] : [addresses.get(key) ?? ""];
  const head = addresses.size === 0 ? [] : ["address"];
  const found = findings.map((finding) => [
    finding.aId,
    finding.bId,
    FINDINGS[finding.what],
    ...address(`a:${finding.aId}`),
    fieldsOf(finding),
  ]);
  const loose = [
    ...looseLocal.map((
      { id, reason },
    ) => ["supabase", id, ...address(`a:${id}`), looseReason(reason)]),
    ...looseRemote.map((
      { id, reason },
    ) => ["remote", id, ...address(`b:${id}`), looseReason(reason)]),
  ];
  const parts = [
    hasDrift(report) ? "The sides differ" : "Both sides agree",
    summary(report),
    ...renderRows(["in supabase", "at the remote", "what", ...head, "fields"], found),
    ...renderRows(["side", "id", ...head, "why it has no link"], loose),
  ];
  if (report.findings.length > limit) {
    parts.push(`${count(report.findings.length - limit)} more pairs: see --limit`);
  }
  if (report.unconfirmed > 0) {
    parts.push(
      `${count(report.unconfirmed)} pairs were not looked at a second time, as there were so many`,
    );
  }
  return parts.join("\n\n");
}

/** The report for a machine: counts of everything, ids up to the limit. */
export function auditJson(report: AuditReport, limit: number, addresses: Addresses): string {
  const some = listed(report, limit);
  const withAddress = (key: string) => {
    const address = addresses.get(key);
    return address === undefined ? {} : { address };
  };
  const reasons = (records: readonly LooseRecord[]) =>
    Object.fromEntries(tally(records.map(({ reason }) => reason ?? "not_linked")));
  return JSON.stringify({
    equal: !hasDrift(report),
    counts: {
      local: report.local,
      remote: report.remote,
      linked: report.linked,
      equal: report.equal,
      unconfirmed: report.unconfirmed,
      openConflicts: report.openConflicts,
      unreadableLocal: report.unreadableLocal.length,
      unreadableRemote: report.unreadableRemote.length,
      findings: Object.fromEntries(tally(report.findings.map(({ what }) => what))),
      fields: Object.fromEntries(tally(report.findings.flatMap(({ fields }) => fields))),
      accepted: Object.fromEntries(report.accepted),
      looseLocal: reasons(report.looseLocal),
      looseRemote: reasons(report.looseRemote),
    },
    findings: some.findings.map((one) => ({ ...one, ...withAddress(`a:${one.aId}`) })),
    looseLocal: some.looseLocal.map((one) => ({ ...one, ...withAddress(`a:${one.id}`) })),
    looseRemote: some.looseRemote.map((one) => ({ ...one, ...withAddress(`b:${one.id}`) })),
    unreadableLocal: report.unreadableLocal.slice(0, limit),
    unreadableRemote: report.unreadableRemote.slice(0, limit),
  });
}
