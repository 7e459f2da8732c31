import { mailerlite } from "../../shared/connectors/mailerlite/mod.ts";
import { defineSync, pair, requirePair, type SyncConfig } from "../../shared/engine/config.ts";
import type { FieldInput, PairInput } from "../../shared/engine/pair.ts";
import config from "../../sync.config.ts";

/** How the pair of a world differs from that of `sync.config.ts`. */
export interface PairChanges extends Partial<Omit<PairInput, "local" | "remote" | "fields">> {
  readonly fields?: Readonly<Record<string, FieldInput>>;
  readonly createMissingGroups?: boolean;
  readonly managedGroups?: readonly string[];
}

/** The pair of `sync.config.ts` with some of it changed. */
export function changedConfig(changes: PairChanges): SyncConfig {
  const { local, rules } = requirePair(config);
  const { fields, createMissingGroups, managedGroups, ...policies } = changes;
  const mapped = Object.entries(rules.fields).map(([name, rule]): [string, FieldInput] => [
    name,
    rule.kind === "set" ? { kind: "set", local: rule.local, remote: rule.remote } : rule,
  ]);
  const { onNewRemote, onNewLocal, onLocalDelete, onRemoteMissing, limits } = rules;
  return defineSync({
    clients: pair({
      local: { table: local.table, id: local.id, naturalKey: "email" },
      remote: mailerlite.subscribers({
        managedGroups: managedGroups ?? ["Clients", "VIP"],
        createMissingGroups: createMissingGroups ?? false,
      }),
      fields: { ...Object.fromEntries(mapped), ...fields },
      onNewRemote,
      onNewLocal,
      onLocalDelete,
      onRemoteMissing,
      limits,
      ...policies,
    }),
  });
}
