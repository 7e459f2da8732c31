import type { RemoteSchema } from "../connectors/connector.ts";
import type { Database } from "../store/database.ts";
import { LocalTable } from "../store/local_table.ts";
import { ConfigurationError, type ConfigurationIssue } from "./configuration_error.ts";
import type { Pair } from "./pair.ts";

/**
 * Opens side A's table.
 *
 * @throws {ConfigurationError} If a mapped column does not exist, with the path of each.
 */
export async function openLocalTable(database: Database, pair: Pair): Promise<LocalTable> {
  const fields = Object.entries(pair.rules.fields);
  const opened = await LocalTable.open(database, pair.local, fields.map(([, rule]) => rule.local));
  if ("table" in opened) return opened.table;
  throw new ConfigurationError(opened.missing.map(({ path, message }) => {
    const field = fields.find(([, rule]) => rule.local === path);
    if (field !== undefined) return { path: `${pair.name}.fields.${field[0]}.local`, message };
    return { path: `${pair.name}.local.${path === "" ? "table" : "id"}`, message };
  }));
}

/**
 * Checks what a pair names at the remote against what is there.
 *
 * A mapped field that the account does not have would read as blank on every
 * record, and blank every record of side A.
 *
 * @throws {ConfigurationError} If a field or a managed name does not exist, with the path of each.
 */
export function checkRemoteSchema(pair: Pair, schema: RemoteSchema): void {
  const issues: ConfigurationIssue[] = [];
  const { fieldPrefix } = pair.remote.connector.spec;
  const known = new Set(schema.fields);
  for (const [name, rule] of Object.entries(pair.rules.fields)) {
    if (rule.remote.startsWith(fieldPrefix) && !known.has(rule.remote)) {
      issues.push({
        path: `${pair.name}.fields.${name}.remote`,
        message: `the remote account has no field '${rule.remote}'`,
      });
    }
    if (rule.kind !== "set") continue;
    const names = schema.sets[rule.remote] ?? {};
    for (const managed of rule.managed) {
      const ids = names[managed] ?? [];
      const path = `${pair.name}.remote.managed.${rule.remote}`;
      if (ids.length > 1) {
        issues.push({
          path,
          message: `'${managed}' stands for ${ids.length} of the remote's ${rule.remote}`,
        });
      } else if (ids.length === 0 && !pair.remote.createMissing) {
        issues.push({ path, message: `'${managed}' does not exist at the remote` });
      }
    }
  }
  if (issues.length > 0) throw new ConfigurationError(issues);
}
