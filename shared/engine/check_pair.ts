import { z } from "zod";
import type { EntitySpec } from "../connectors/connector.ts";
import { CANONICAL_VERSION } from "../merge/canonical.ts";
import type { FieldRule, PairRules } from "../merge/pair.ts";
import type { ConfigurationIssue } from "./configuration_error.ts";
import type { FieldInput, Pair, PairInput } from "./pair.ts";

const identifier = z.string().regex(
  /^[A-Za-z_][A-Za-z0-9_]*$/,
  "must be a plain name",
);
const localPath = z.string().regex(
  /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/,
  "must be a column, or name.column",
);
const ends = {
  local: localPath,
  remote: z.string().min(1, "must name a field"),
};
const limit = z.strictObject({
  percent: z.number().min(0).max(100),
  floor: z.number().int().min(0),
});

const fieldSchema = z.union([
  z.strictObject({ kind: z.literal("consent"), ...ends }),
  z.strictObject({ kind: z.literal("set"), ...ends }),
  z.strictObject({
    kind: z.literal("value").optional(),
    ...ends,
    wins: z.enum(["local", "remote", "manual"]).optional(),
    flow: z.enum(["both", "to_local", "to_remote"]).optional(),
    mayBlank: z.boolean().optional(),
    type: z.enum(["text", "number", "boolean", "date"]).optional(),
  }),
]);

const pairSchema = z.strictObject({
  local: z.strictObject({
    table: z.string().regex(
      /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/,
      "must be a table, or schema.table",
    ),
    id: identifier,
    naturalKey: identifier,
  }),
  remote: z.looseObject({
    connector: z.looseObject({ spec: z.looseObject({}) }),
  }),
  fields: z.record(z.string(), z.unknown()),
  onNewRemote: z.enum(["create", "ignore"]).optional(),
  onNewLocal: z.enum(["create", "ignore"]).optional(),
  onLocalDelete: z.enum(["mark", "unlink", "unsubscribe", "delete"]).optional(),
  onRemoteMissing: z.enum(["mark", "unlink", "delete"]).optional(),
  limits: z.strictObject({
    deletes: limit.optional(),
    unsubscribes: limit.optional(),
    blanks: limit.optional(),
    updates: limit.optional(),
  }).optional(),
});

function issuesOf(error: z.ZodError, path: string): ConfigurationIssue[] {
  return error.issues.map((issue) => ({
    path: [path, ...issue.path.map(String)].join("."),
    message: issue.message,
  }));
}

function isWritable(spec: EntitySpec, path: string): boolean {
  if (spec.readOnly.includes(path)) return false;
  return spec.writable.some((entry) =>
    entry.endsWith(".") ? path.startsWith(entry) && path.length > entry.length : path === entry
  );
}

function kindIssue(rule: FieldInput, spec: EntitySpec): string | null {
  const kind = rule.kind ?? "value";
  const isConsent = rule.remote === spec.consent.path;
  // A consent status mapped as plain text would be written back like a city
  // name, and put people on the list again who had left it.
  if (isConsent && kind !== "consent") {
    return "holds what a person allows: map it with consent()";
  }
  if (!isConsent && kind === "consent") {
    return `is not the consent field of this remote: that is '${spec.consent.path}'`;
  }
  const isSet = spec.sets.includes(rule.remote);
  if (isSet && kind !== "set") return "holds a set: map it with set()";
  if (!isSet && kind === "set") {
    return `is not a set of this remote: those are ${spec.sets.map((s) => `'${s}'`).join(", ")}`;
  }
  if (spec.readOnly.includes(rule.remote)) {
    return "belongs to the remote and cannot be written";
  }
  if (!isWritable(spec, rule.remote)) return "is not a field of this remote";
  return null;
}

function ruleOf(input: FieldInput, managed: readonly string[]): FieldRule {
  const { local, remote } = input;
  if (input.kind === "consent") return { kind: "consent", local, remote };
  if (input.kind === "set") return { kind: "set", local, remote, managed };
  return {
    kind: "value",
    local,
    remote,
    wins: input.wins ?? "manual",
    flow: input.flow ?? "both",
    mayBlank: input.mayBlank ?? false,
    type: input.type ?? "text",
  };
}

function checkFields(
  path: string,
  input: PairInput,
): { rules: Record<string, FieldRule>; issues: ConfigurationIssue[] } {
  const spec = input.remote.connector.spec;
  const issues: ConfigurationIssue[] = [];
  const rules: Record<string, FieldRule> = {};
  const takenLocal = new Map<string, string>();
  const takenRemote = new Map<string, string>();
  for (const [name, field] of Object.entries(input.fields)) {
    const at = `${path}.fields.${name}`;
    if (!identifier.safeParse(name).success) {
      issues.push({ path: at, message: "must be a plain name" });
    }
    const parsed = fieldSchema.safeParse(field);
    if (!parsed.success) {
      issues.push(...issuesOf(parsed.error, at));
      continue;
    }
    const wrong = kindIssue(field, spec);
    if (wrong !== null) {
      issues.push({
        path: `${at}.remote`,
        message: `'${field.remote}' ${wrong}`,
      });
    }
    for (
      const [side, taken] of [["local", takenLocal], [
        "remote",
        takenRemote,
      ]] as const
    ) {
      const other = taken.get(field[side]);
      if (other !== undefined) {
        issues.push({
          path: `${at}.${side}`,
          message: `'${field[side]}' is already mapped by field '${other}'`,
        });
      }
      taken.set(field[side], name);
    }
    rules[name] = ruleOf(field, input.remote.managed[field.remote] ?? []);
  }
  return { rules, issues };
}

function keyIssue(
  path: string,
  input: PairInput,
  keyField: string | undefined,
): ConfigurationIssue[] {
  if (keyField !== undefined) return [];
  const key = input.remote.connector.spec.key.path;
  return [{
    path: `${path}.local.naturalKey`,
    message:
      `no field maps column '${input.local.naturalKey}' to '${key}', by which records are matched`,
  }];
}

/** Checks one pair as far as that needs neither database nor remote, and fills in the defaults. */
export function checkPair(
  name: string,
  input: PairInput,
): { pair: Pair } | { issues: ConfigurationIssue[] } {
  if (!identifier.safeParse(name).success) {
    return { issues: [{ path: name, message: "must be a plain name" }] };
  }
  const parsed = pairSchema.safeParse(input);
  if (!parsed.success) return { issues: issuesOf(parsed.error, name) };
  const spec = input.remote.connector.spec;
  const { rules, issues } = checkFields(name, input);
  const keyField = Object.keys(rules).find((field) =>
    rules[field]?.local === input.local.naturalKey &&
    rules[field]?.remote === spec.key.path
  );
  issues.push(...keyIssue(name, input, keyField));
  if (issues.length > 0 || keyField === undefined) return { issues };

  const [first = "", second] = input.local.table.split(".");
  const local = {
    schema: second === undefined ? "public" : first,
    table: second ?? first,
    id: input.local.id,
  };
  const pairRules: PairRules = {
    name,
    keyField,
    keyCompare: spec.key.compare,
    fields: rules,
    onNewRemote: input.onNewRemote ?? "create",
    onNewLocal: input.onNewLocal ?? "create",
    onLocalDelete: input.onLocalDelete ?? "mark",
    onRemoteMissing: input.onRemoteMissing ?? "mark",
    limits: {
      deletes: input.limits?.deletes ?? { percent: 5, floor: 20 },
      unsubscribes: input.limits?.unsubscribes ?? { percent: 10, floor: 50 },
      blanks: input.limits?.blanks ?? { percent: 2, floor: 20 },
      updates: input.limits?.updates ?? { percent: 50, floor: 500 },
    },
  };
  const fingerprint = JSON.stringify([
    CANONICAL_VERSION,
    local,
    keyField,
    spec.key.compare,
    rules,
  ]);
  return {
    pair: { name, local, remote: input.remote, rules: pairRules, fingerprint },
  };
}
