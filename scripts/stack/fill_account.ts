import { requirePair, type SyncConfig } from "../../shared/engine/config.ts";
import { ControlClient } from "../../simulators/mailerlite/control_client.ts";

// Every account has these (MailerLite docs, Fields).
const BUILT_IN = ["name", "last_name", "company", "country", "city", "phone", "state", "z_i_p"];

/** What a configuration wants an account to have: groups by name, fields by key. */
export interface WantedAccount {
  readonly groups: readonly string[];
  readonly fields: readonly string[];
}

/** Tells what an account has to have for a configuration to be accepted. */
export function wantedAccount(config: SyncConfig): WantedAccount {
  const rules = Object.values(requirePair(config).rules.fields);
  return {
    groups: rules.flatMap((rule) => rule.kind === "set" ? rule.managed : []),
    fields: rules.flatMap(({ remote }) => {
      const [head, key] = remote.split(".");
      return head === "fields" && key !== undefined && !BUILT_IN.includes(key) ? [key] : [];
    }),
  };
}

/**
 * Makes in an empty simulator the groups and fields that a configuration names: without
 * them each run would be refused.
 *
 * @param url Origin of the simulator.
 */
export async function fillAccount(url: string, config: SyncConfig): Promise<void> {
  const { groups, fields } = wantedAccount(config);
  await new ControlClient(url).seed({ groups: [...groups], fields: [...fields] });
}
