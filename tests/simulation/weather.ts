/**
 * What kind of world a seed is: how its pair is configured, how the remote
 * behaves, and how much goes wrong.
 *
 * @module
 */
import { mailerlite } from "../../shared/connectors/mailerlite/mod.ts";
import { consent, defineSync, pair, set, type SyncConfig } from "../../shared/engine/config.ts";
import type { ValueInput } from "../../shared/engine/pair.ts";
import type { ChangeLimit } from "../../shared/merge/pair.ts";
import type { Switches } from "../../simulators/mailerlite/mod.ts";
import type { Dice } from "./dice.ts";

/** The kind of world. */
export interface Weather {
  readonly config: SyncConfig;
  readonly switches: Partial<Switches>;
  /** People who are there at the start. */
  readonly people: number;
  /** Steps and events before everything calms down. */
  readonly length: number;
  /** Whether a backfill comes first. */
  readonly backfill: boolean;
  /** Workers at a time. */
  readonly workers: number;
  /** How often something happens between two steps of a worker. */
  readonly eventShare: number;
  /** How often a request or a statement fails. */
  readonly faultShare: number;
  readonly killShare: number;
  readonly freezeShare: number;
  /** Records a page of the remote; null for as many as it gives. */
  readonly pageSize: number | null;
  /** Whether the remote counts requests. */
  readonly limited: boolean;
  /** How long a request takes, in ms. */
  readonly latencyMs: number;
  /** Records smart-sync may look at a day; null for the default. */
  readonly quota: number | null;
}

const VALUES: Readonly<Record<string, readonly [local: string, remote: string]>> = {
  firstName: ["first_name", "fields.name"],
  lastName: ["last_name", "fields.last_name"],
  company: ["company", "fields.company"],
  phone: ["phone", "fields.phone"],
  city: ["city", "fields.city"],
  country: ["country", "fields.country"],
};

function anyField(dice: Dice, local: string, remote: string): ValueInput {
  return {
    local,
    remote,
    wins: dice.of("local", "remote", "manual"),
    flow: dice.chance(0.85) ? "both" : dice.of("to_local", "to_remote"),
    mayBlank: dice.chance(0.5),
  };
}

function anyLimit(dice: Dice, tight: boolean): ChangeLimit {
  return tight
    ? { percent: dice.whole(5, 20), floor: dice.whole(1, 3) }
    : { percent: 100, floor: 100 };
}

/** Draws a policy. */
export function anyConfig(dice: Dice): SyncConfig {
  const fields: Record<string, ValueInput> = {};
  for (const [name, [local, remote]] of Object.entries(VALUES)) {
    fields[name] = anyField(dice, local, remote);
  }
  const tight = dice.chance(0.25);
  return defineSync({
    clients: pair({
      local: { table: "clients", id: "id", naturalKey: "email" },
      remote: mailerlite.subscribers({ managedGroups: ["Clients", "VIP"] }),
      fields: {
        email: {
          local: "email",
          remote: "email",
          wins: dice.chance(0.6) ? "manual" : dice.of("local", "remote"),
        },
        ...fields,
        partnerName: { local: "partner.name", remote: "fields.partner_name", wins: "local" },
        partnerCompany: {
          local: "partner.company",
          remote: "fields.partner_company",
          wins: dice.of("local", "remote"),
          mayBlank: true,
        },
        consent: consent({ local: "marketing_status", remote: "status" }),
        groups: set({ local: "groups", remote: "groups" }),
      },
      onNewRemote: dice.chance(0.9) ? "create" : "ignore",
      onNewLocal: dice.chance(0.9) ? "create" : "ignore",
      onLocalDelete: dice.of("mark", "unlink", "unsubscribe", "delete"),
      onRemoteMissing: dice.of("mark", "unlink", "delete"),
      limits: {
        deletes: anyLimit(dice, tight),
        unsubscribes: anyLimit(dice, tight),
        blanks: anyLimit(dice, tight),
        updates: { percent: 100, floor: tight ? 8 : 500 },
      },
    }),
  });
}

function anySwitches(dice: Dice): Partial<Switches> {
  const switches: Partial<Switches> = {};
  const maybe = <Name extends keyof Switches>(name: Name, setting: Switches[Name]) => {
    if (dice.chance(0.2)) switches[name] = setting;
  };
  maybe("defaultStatusFilter", "active");
  maybe("batchExecution", "reversed");
  maybe("batchNoContentBody", "empty_string");
  maybe("putActiveOnLowered", "ignore_200");
  maybe("putFieldsOnUnsubscribed", "reject_422");
  maybe("upsertBouncedOrJunk", "accept_200");
  maybe("reviveUnsubscribed", "active");
  maybe("getAfterDelete", "found");
  maybe("deleteKeepsFieldValues", "no");
  maybe("deleteEmptiesGroups", "no");
  maybe("emailCollision", "ignore_200");
  maybe("emptyString", "keep");
  maybe("doubleOptIn", "on");
  maybe("batchCost", "per_item");
  maybe("updatedFiresOnEmailChange", "no");
  maybe("deletedEventShape", "flat");
  maybe("postAfterForget", "new_id");
  maybe("trimValues", "yes");
  maybe("retryAfterOn429", "absent");
  return switches;
}

/** Draws a world. */
export function anyWeather(dice: Dice): Weather {
  const calm = dice.chance(0.15);
  return {
    config: anyConfig(dice),
    switches: dice.chance(0.5) ? {} : anySwitches(dice),
    people: dice.whole(5, 14),
    length: dice.whole(250, 700),
    backfill: dice.chance(0.7),
    workers: dice.chance(0.5) ? 1 : dice.whole(2, 3),
    eventShare: dice.of(0.02, 0.06, 0.15, 0.3),
    faultShare: calm ? 0 : dice.of(0, 0.005, 0.02, 0.05),
    killShare: calm ? 0 : dice.of(0, 0.15, 0.4),
    freezeShare: calm ? 0 : dice.of(0, 0.1, 0.25),
    pageSize: dice.chance(0.5) ? dice.whole(2, 6) : null,
    limited: dice.chance(0.3),
    latencyMs: dice.of(2, 40, 400, 3000),
    quota: dice.chance(0.15) ? dice.whole(3, 12) : null,
  };
}
