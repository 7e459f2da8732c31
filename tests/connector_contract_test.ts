import type { RemoteRecord } from "../shared/connectors/connector.ts";
import { mailerlite } from "../shared/connectors/mailerlite/mod.ts";
import type { RateLimiter, RateObservation } from "../shared/limits/rate_limiter.ts";
import type { ConsentStatus } from "../shared/merge/consent.ts";
import type { Doc } from "../shared/merge/json.ts";
import {
  type FaultEffect,
  MailerLiteSimulator,
  type Status,
  type Switches,
} from "../simulators/mailerlite/mod.ts";
import { testConnectorContract } from "./connector_contract.ts";
import {
  type Fault,
  type MakeWorld,
  SET_NAMES,
  type Subject,
  type World,
} from "./connector_contract_world.ts";

const WORDS: Readonly<Record<Exclude<ConsentStatus, "none">, Status>> = {
  subscribed: "active",
  pending: "unconfirmed",
  unsubscribed: "unsubscribed",
  bounced: "bounced",
  complained: "junk",
};

const EFFECTS: Readonly<Record<Exclude<Fault, "silent">, FaultEffect>> = {
  reset_before: { kind: "reset", when: "before" },
  reset_after: { kind: "reset", when: "after" },
  server_error: { kind: "status", status: 500 },
  html: { kind: "html", status: 502, when: "after" },
  truncated: { kind: "truncate" },
  throttled: { kind: "rate_limit", retryAfter: 40 },
  unauthorized: { kind: "status", status: 401, body: { message: "Unauthenticated." } },
};

/** Time that passes when somebody waits, and at no other time. */
class Clock {
  ms = Date.UTC(2026, 10, 20);
}

/** Waits as long as the answers say. */
class ObedientLimiter implements RateLimiter {
  taken = 0;
  settled = 0;
  #freeAt = 0;
  constructor(readonly clock: Clock) {}

  take() {
    this.taken++;
    this.clock.ms = Math.max(this.clock.ms, this.#freeAt);
    let open = true;
    return Promise.resolve({
      settle: (seen: RateObservation | null) => {
        this.settled += open ? 1 : Number.NaN;
        open = false;
        const wait = seen?.retryAfterMs ?? (seen?.remaining === 0 ? 60_000 : 0);
        if (wait > 0) this.#freeAt = Math.max(this.#freeAt, this.clock.ms + wait);
      },
    });
  }
}

/** Requests that get no answer until their signal aborts. */
class Silence {
  after = 0;
  times = 0;

  next(): boolean {
    if (this.times === 0) return false;
    if (this.after > 0) {
      this.after--;
      return false;
    }
    this.times--;
    return true;
  }
}

function recordOf(row: unknown): RemoteRecord {
  const { id, email, status, fields, groups } = row as {
    id: string;
    email: string;
    status: Status;
    fields: Doc;
    groups: { name: string }[];
  };
  const word = (Object.keys(WORDS) as (keyof typeof WORDS)[]).find((key) => WORDS[key] === status);
  const doc: Doc = {
    email,
    status: word ?? null,
    groups: groups.map(({ name }) => name).sort(),
  };
  for (const [key, value] of Object.entries(fields)) doc[`fields.${key}`] = value;
  return { id, doc };
}

/** Worlds in which MailerLite answers the open questions in a given way. */
function mailerliteWorld(switches: Partial<Switches>): MakeWorld {
  return (records): World => {
    const clock = new Clock();
    const stop = new AbortController();
    const silence = new Silence();
    const limiter = new ObedientLimiter(clock);
    const simulator = new MailerLiteSimulator({ now: () => clock.ms, switches });
    simulator.seed({
      groups: [...SET_NAMES],
      subscribers: records.map(({ key, text, status, names }) => ({
        email: key,
        status: status === "none" ? "active" : WORDS[status],
        fields: { city: text },
        groups: names,
      })),
    });
    let requests = 0;
    let waiting = new AbortController();
    const send: typeof fetch = (input, init) => {
      requests++;
      const request = new Request(input, init);
      if (!silence.next()) return simulator.handle(request);
      return new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
        waiting.abort();
      });
    };
    const env: Record<string, string> = {
      MAILERLITE_API_KEY: "simulator-token",
      MAILERLITE_API_URL: "https://mailerlite.test/api",
    };
    return {
      connector: mailerlite.subscribers().connector,
      context: {
        fetch: send,
        env: (name) => env[name],
        now: () => clock.ms,
        sleep: (ms) => {
          clock.ms += ms;
          return Promise.resolve();
        },
        random: () => 0.5,
        limiter,
        signal: stop.signal,
        timeout: () => {
          waiting = new AbortController();
          return waiting.signal;
        },
      },
      textPath: "fields.city",
      setPath: "groups",
      badKey: "not an address@",
      unknownId: "99999999999999999",
      records: () => [...simulator.readAll()].map(recordOf),
      fault: (fault, times, after = 0) => {
        silence.times = fault === "silent" ? times : 0;
        silence.after = after;
        const effect = fault === "silent" ? null : EFFECTS[fault];
        simulator.setFaults(effect === null || times === 0 ? [] : [{ after, times, effect }]);
      },
      requests: () => requests,
      permits: () => limiter,
      stop: () => stop.abort(),
    };
  };
}

// Every open question about the API whose answer could matter to a connector,
// and what it could matter to.
const ANSWERS: readonly (readonly [Partial<Switches>, ...Subject[]])[] = [
  [{}, "list", "read", "write"],
  [{ subscribersPageMax: "clamp_100" }, "list"],
  [{ subscribersPageMax: "reject_above_1000" }, "list"],
  [{ subscribersPageMax: "reject_above_100" }, "list"],
  [{ defaultStatusFilter: "active" }, "list"],
  [{ groupsPageDefault: "250" }, "write"],
  [{ getAfterDelete: "found" }, "read", "write"],
  [{ batchCost: "per_item" }, "read", "write"],
  [{ batchCost: "per_item", batchItemLimit: "item" }, "read", "write"],
  [{ batchExecution: "reversed" }, "read", "write"],
  [{ batchNoContentBody: "empty_string" }, "write"],
  [{ allUpsertBatchBodies: "empty" }, "write"],
  [{ putActiveOnLowered: "ignore_200" }, "write"],
  [{ putFieldsOnUnsubscribed: "reject_422" }, "write"],
  [{ emptyString: "keep" }, "write"],
  [{ unknownFields: "reject_422" }, "write"],
  [{ retryAfterOn429: "documented_119" }, "read", "write"],
  [{ retryAfterOn429: "absent" }, "read", "write"],
  [{ importRateHeaders: "import" }, "write"],
  [{ inFlightCeiling: "8" }, "read", "write"],
];

for (const [switches, ...about] of ANSWERS) {
  const told = Object.entries(switches).map((entry) => entry.join(" "));
  const name = ["mailerlite", ...told].join(", ");
  testConnectorContract(name, mailerliteWorld(switches), about);
}
