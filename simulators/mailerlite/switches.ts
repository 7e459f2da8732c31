/**
 * What nobody outside MailerLite knows for sure. Each entry is one question
 * about the API that neither the documentation nor a recording answers (or
 * that they answer in two ways), with every answer the simulator can play.
 * The first setting of each is the default.
 *
 * @module
 */

interface SwitchSpec {
  /** Why the question is open and what speaks for the default. */
  readonly why: string;
  /** Each setting with what the simulator does under it; the first is the default. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Every open question, by name. The README's table is checked against this object. */
export const SWITCHES = {
  subscribersPageMax: {
    why:
      "The docs give no maximum for GET /subscribers; the sibling group list documents 1000, connectors note 100",
    settings: {
      clamp_1000: "a larger limit is cut to 1000",
      clamp_100: "a larger limit is cut to 100",
      reject_above_1000: "422 on limit above 1000",
      reject_above_100: "422 on limit above 100",
    },
  },
  defaultStatusFilter: {
    why:
      "GET /subscribers without filter[status]: a published script drops other statuses itself, so all seem to come back; group lists document active",
    settings: { all: "every status", active: "active only" },
  },
  countHonoursFilter: {
    why:
      "The Java SDK sends filter[status] with limit=0 and gets 200; whether the number changes is not shown",
    settings: { yes: "the total is of the filtered rows", no: "the total is of all rows" },
  },
  nonsenseCursor: {
    why:
      "mailerlite-python, group subscribers: cursor=1 is answered 200 with no rows, on a group that was empty anyway",
    settings: {
      first_page: "read as no cursor (Laravel's Cursor::fromEncoded)",
      empty_page: "200 with no rows",
    },
  },
  disallowedFilter: {
    why:
      "The message is known from client tests; the status is 400 in the query builder the text comes from",
    settings: { reject_400: "400 with the message", reject_422: "422 with the message" },
  },
  groupsPageDefault: {
    why: "Docs, Groups: 100; the Java SDK's recording of 2023 shows 250",
    settings: { "100": "100 groups a page", "250": "250 groups a page" },
  },
  batchCost: {
    why:
      "mailerlite-nodejs tapes: a batch of three took one unit; two isolated recordings could be read as one unit an item",
    settings: { one: "a batch takes 1 unit", per_item: "a batch takes 1 unit an item" },
  },
  batchItemLimit: {
    why: "Under per_item cost: whether the whole batch or single items meet the limit is not shown",
    settings: {
      whole_batch: "the outer answer is 429 and nothing runs",
      item: "items over the limit answer 429 inside a 200",
    },
  },
  batchOverflow: {
    why: "Docs, Batching: at most 50 requests; the answer to more is not shown",
    settings: { reject_422: "422 on requests", reject_400: "400 with a message" },
  },
  batchExecution: {
    why: "Answers come in the order sent; the order of execution is not documented",
    settings: { in_order: "items run first to last", reversed: "items run last to first" },
  },
  batchNoContentBody: {
    why: "The body of a 204 item inside a batch is in no recording",
    settings: { null: "body is null", empty_string: 'body is ""' },
  },
  allUpsertBatchBodies: {
    why:
      "Docs, Batching: a batch of upserts alone runs as an import; whether its items still hold subscribers is not said",
    settings: { full: "200 or 201 with the subscriber", empty: "200 with body null" },
  },
  putActiveOnLowered: {
    why:
      "Docs, Subscribers: unsubscribed, bounced and junk cannot be re-activated by the API; the form of the refusal is not shown",
    settings: { reject_422: "422 on status", ignore_200: "200 with the status unchanged" },
  },
  putFieldsOnUnsubscribed: {
    why: "POST on an unsubscribed address is refused even for a field edit; PUT is not said to be",
    settings: { allow: "200, fields change", reject_422: "422 as for POST" },
  },
  resubscribeUnsubscribed: {
    why: "Docs, Subscribers: resubscribe re-activates; the same page says that the API cannot",
    settings: { reactivate: "200, active again", reject_422: "422 as without the flag" },
  },
  resubscribeBouncedOrJunk: {
    why: "Docs, Subscribers: bounced and junk cannot be re-activated by the API",
    settings: { reject_422: "422", reactivate: "200, active again" },
  },
  upsertBouncedOrJunk: {
    why:
      "The refusal is reported for unsubscribed addresses only; nothing is published on bounced and junk",
    settings: { reject_422: "422 on email", accept_200: "200, fields change, status stays" },
  },
  reviveUnsubscribed: {
    why:
      "Recorded revivals are of active rows; what a POST does to a deleted unsubscribed one is not shown",
    settings: { reject_422: "422 as before the delete", active: "200, active again" },
  },
  postAfterForget: {
    why: "Nothing is published on a POST within the 30 days after a forget",
    settings: { revive: "200, same id, forgetting cancelled", new_id: "201, a new subscriber" },
  },
  getAfterDelete: {
    why: "A delete is soft (same id revives); no recording reads in between",
    settings: { not_found: "404", found: "200 with the row, deleted_at set" },
  },
  deleteKeepsFieldValues: {
    why:
      "Docs say data is kept for re-subscription; the recorded re-POSTs sent the same fields again",
    settings: { yes: "old values come back", no: "fields are null but for what the POST sends" },
  },
  deleteEmptiesGroups: {
    why: "Recorded revivals show groups []; that the rows had groups before is not shown",
    settings: { yes: "a revived row is in no old group", no: "old memberships come back" },
  },
  putByEmail: {
    why: "PUT and DELETE by address are used by third parties, documented is the id",
    settings: { accept: "an address finds the row", not_found: "404" },
  },
  emailCollision: {
    why: "PUT with another subscriber's address is in no recording",
    settings: { reject_422: "422 on email", ignore_200: "200 with the address unchanged" },
  },
  numberType: {
    why: "No recording shows the value of a number field",
    settings: { number: "JSON number", string: "JSON string" },
  },
  unknownFields: {
    why:
      "mailerlite-nodejs, PUT: fields.email is dropped with 200; other unknown keys are not shown",
    settings: { drop: "ignored", reject_422: "422 on the key" },
  },
  emptyString: {
    why: "Laravel turns an empty string into null by default; no recording reads one back",
    settings: { null: "stored as null", keep: 'stored as ""' },
  },
  trimValues: {
    why: "Laravel trims strings by default; no recording sends white space at the ends",
    settings: {
      no: "field values are kept as sent",
      yes: "field values lose white space at both ends",
    },
  },
  fieldsMax: {
    why: "The docs' sentence on the maximum speaks of groups",
    settings: { none: "no maximum", "100": "422 on the 101st custom field" },
  },
  duplicateGroupNames: {
    why: "No recording creates a group twice",
    settings: { allow: "a second group of the name", reject_422: "422 on name" },
  },
  groupCounters: {
    why: "mailerlite-java: active_count is 0 right after an assign and 1 five seconds later",
    settings: {
      lagging: "counters show a change 5 s later",
      immediate: "counters show a change at once",
    },
  },
  groupListLag: {
    why:
      "mailerlite-java: the group's list shows a member 5 s after the assign; a shorter lag is not shown",
    settings: {
      none: "lists show a change at once",
      lagging: "a group's list shows a change 5 s later",
    },
  },
  doubleOptIn: {
    why: "An account setting (double opt-in for API and integrations) that the API cannot read",
    settings: {
      off: "a new subscriber is active",
      on: "a new subscriber without a status is unconfirmed",
    },
  },
  importMaxItems: {
    why: "No cap is documented",
    settings: { none: "any size", "1000": "422 above 1000 subscribers" },
  },
  importSamples: {
    why:
      "All recorded imports have empty samples and zero sub-counts, even with errored 100; the docs' example fills them",
    settings: {
      empty: "samples empty, sub-counts 0",
      filled: "at most 5 {id,email} rows a kind and true sub-counts",
    },
  },
  subscribersImport: {
    why: "POST /subscribers/import is named by the rate limit page, its body nowhere",
    settings: { accept: "takes {subscribers, groups?}", reject_422: "422 on subscribers" },
  },
  limitScope: {
    why: "The docs call the limit global without saying of what",
    settings: { account: "all tokens share a window", token: "each token has its own" },
  },
  inFlightCeiling: {
    why: "No limit on concurrency is documented; seven at once were accepted in a recording",
    settings: { none: "any number at once", "8": "429 for the ninth request in flight" },
  },
  retryAfterOn429: {
    why: "The docs' example says 119, more than the 60 s window the recordings show",
    settings: {
      window: "seconds until the window ends",
      documented_119: "always 119",
      absent: "no header",
    },
  },
  rateLimitReset: {
    why: "X-RateLimit-Reset is on no normal answer; no 429 is recorded",
    settings: { absent: "no header", present: "on 429, seconds since 1970" },
  },
  importRateHeaders: {
    why: "Whose counters stand on the import 429 is not shown",
    settings: { global: "limit and remaining of the 120", import: "limit 5, remaining 0" },
  },
  methodNotAllowedBody: {
    why: "405 is listed, its body is not shown",
    settings: { json: "Laravel's message", html: "an HTML page" },
  },
  updatedFiresOnEmailChange: {
    why: "There is no event for a new address; whether subscriber.updated covers it is not said",
    settings: { yes: "subscriber.updated fires", no: "nothing fires" },
  },
  revivalEvent: {
    why: "Which event the revival of a deleted row fires is not documented",
    settings: { created: "subscriber.created", active: "subscriber.active" },
  },
  deletedEventShape: {
    why: "A public receiver expects subscriber.deleted nested; no payload is published",
    settings: { nested: "{type, subscriber}", flat: "subscriber keys at the top and event" },
  },
  webhookBatchMax: {
    why: "The largest batchable payload is not documented",
    settings: { "50": "50 events a request", "1000": "1000 events a request" },
  },
  webhooksMax: {
    why: "No maximum is documented",
    settings: { none: "any number", "10": "422 on the 11th" },
  },
} as const satisfies Readonly<Record<string, SwitchSpec>>;

/** The name of an open question. */
export type SwitchName = keyof typeof SWITCHES;

/** One setting for every open question. */
export type Switches = { [K in SwitchName]: keyof (typeof SWITCHES)[K]["settings"] };

/** The settings the simulator starts with: the first of each. */
export function defaultSwitches(): Switches {
  const entries = Object.entries(SWITCHES).map(([name, spec]) => [name, firstSetting(spec)]);
  return Object.fromEntries(entries) as Switches;
}

// Numeric-looking keys are listed first by the language, so such a default is named by hand.
function firstSetting(spec: SwitchSpec): string {
  const names = Object.keys(spec.settings);
  const first = names.find((name) => !/^\d+$/.test(name)) ?? names[0];
  if (first === undefined) {
    throw new TypeError("Cannot start the simulator: a switch has no settings");
  }
  return first;
}

/**
 * Checks settings that came from outside (a test, the control API).
 *
 * @throws {TypeError} names the switch or setting that does not exist and lists those that do.
 */
export function checkSwitches(input: Readonly<Record<string, unknown>>): Partial<Switches> {
  for (const [name, setting] of Object.entries(input)) {
    const spec = Object.hasOwn(SWITCHES, name) ? SWITCHES[name as SwitchName] : undefined;
    if (spec === undefined) {
      throw new TypeError(
        `Cannot set switch "${name}": it does not exist, choose from ${
          Object.keys(SWITCHES).join(", ")
        }`,
      );
    }
    if (typeof setting !== "string" || !Object.hasOwn(spec.settings, setting)) {
      const known = Object.keys(spec.settings).join(", ");
      throw new TypeError(
        `Cannot set switch "${name}" to ${JSON.stringify(setting)}: choose from ${known}`,
      );
    }
  }
  return input as Partial<Switches>;
}
