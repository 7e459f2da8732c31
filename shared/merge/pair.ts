import type { Json } from "./json.ts";

/** Which side's edit stands when both sides changed one field; side A is `local`, side B is `remote`. */
export type Winner = "local" | "remote" | "manual";

/** How a plain value is compared and sent; `date` is a calendar day without a zone. */
export type ValueType = "text" | "number" | "boolean" | "date";

/** How a record is recognised on first matching: byte for byte, or trimmed and in lower case. */
export type KeyCompare = "exact" | "lower-trim";

/** A field that holds one value on each side. */
export interface ValueRule {
  readonly kind: "value";
  readonly local: string;
  readonly remote: string;
  readonly wins: Winner;
  /** Which way edits travel; default both. */
  readonly flow: "both" | "to_local" | "to_remote";
  /** Whether an edit from something to nothing may travel. */
  readonly mayBlank: boolean;
  readonly type: ValueType;
}

/** The field that holds what the person allows. It travels down only. */
export interface ConsentRule {
  readonly kind: "consent";
  readonly local: string;
  readonly remote: string;
}

/** A field that holds a set of names, of which only the managed ones are ever touched. */
export interface SetRule {
  readonly kind: "set";
  readonly local: string;
  readonly remote: string;
  readonly managed: readonly string[];
}

/** How one mapped field behaves. */
export type FieldRule = ValueRule | ConsentRule | SetRule;

/** How many changes of a dangerous kind one run may make: over both numbers, the run stops. */
export interface ChangeLimit {
  /** Share of the linked records, in percent. */
  readonly percent: number;
  /** Records under which the share does not count. */
  readonly floor: number;
}

/** The policy of a pair: what a merge needs to know, and nothing of how either side is reached. */
export interface PairRules {
  readonly name: string;
  /** Name of the field both sides are first matched by. */
  readonly keyField: string;
  readonly keyCompare: KeyCompare;
  readonly fields: Readonly<Record<string, FieldRule>>;
  readonly onNewRemote: "create" | "ignore";
  readonly onNewLocal: "create" | "ignore";
  readonly onLocalDelete: "mark" | "unlink" | "unsubscribe" | "delete";
  readonly onRemoteMissing: "mark" | "unlink" | "delete";
  readonly limits: {
    readonly deletes: ChangeLimit;
    readonly unsubscribes: ChangeLimit;
    readonly blanks: ChangeLimit;
    readonly updates: ChangeLimit;
  };
}

/** A record in canonical form: field name to value, with every mapped field present. */
export type CanonicalRecord = { [field: string]: Json };
