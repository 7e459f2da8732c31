import type { RemoteEndpoint } from "../connectors/remote_endpoint.ts";
import type { ChangeLimit, PairRules, ValueType, Winner } from "../merge/pair.ts";

/** The table of side A. */
export interface LocalInput {
  /** `table` or `schema.table`; without a schema, `public`. */
  readonly table: string;
  /** The primary key, a uuid. */
  readonly id: string;
  /** The column by which records are first matched. */
  readonly naturalKey: string;
}

/** A field that holds one value on each side. */
export interface ValueInput {
  readonly kind?: "value";
  /** A column, or `name.column` to reach through the foreign key `name_id`. */
  readonly local: string;
  readonly remote: string;
  /** Which side stands when both changed; default `manual`, which opens a conflict. */
  readonly wins?: Winner;
  /** Which way edits travel; default `both`. */
  readonly flow?: "both" | "to_local" | "to_remote";
  /** Whether an edit from something to nothing may travel; default no. */
  readonly mayBlank?: boolean;
  /** How values are compared; default `text`. */
  readonly type?: ValueType;
}

/** A field made by `consent()`. */
export interface ConsentInput {
  readonly kind: "consent";
  readonly local: string;
  readonly remote: string;
}

/** A field made by `set()`. */
export interface SetInput {
  readonly kind: "set";
  readonly local: string;
  readonly remote: string;
}

/** One entry of `fields`. */
export type FieldInput = ValueInput | ConsentInput | SetInput;

/** One pair as the user writes it. */
export interface PairInput {
  readonly local: LocalInput;
  readonly remote: RemoteEndpoint;
  readonly fields: Readonly<Record<string, FieldInput>>;
  readonly onNewRemote?: PairRules["onNewRemote"];
  readonly onNewLocal?: PairRules["onNewLocal"];
  readonly onLocalDelete?: PairRules["onLocalDelete"];
  readonly onRemoteMissing?: PairRules["onRemoteMissing"];
  readonly limits?: {
    readonly deletes?: ChangeLimit;
    readonly unsubscribes?: ChangeLimit;
    readonly blanks?: ChangeLimit;
    readonly updates?: ChangeLimit;
  };
}

/** A pair that passed every check that needs neither database nor remote. */
export interface Pair {
  readonly name: string;
  readonly local: {
    readonly schema: string;
    readonly table: string;
    readonly id: string;
  };
  readonly remote: RemoteEndpoint;
  readonly rules: PairRules;
  /** Changes with anything that changes canonical values; a run that finds another one starts over. */
  readonly fingerprint: string;
}
