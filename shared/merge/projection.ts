/** Where one value stands in a record's JSON. */
export interface ValueLocation {
  /** Keys from the record down. */
  readonly keys: readonly string[];
  /** For a value that is one of a few words: the remote's word to ours. Any other word is none. */
  readonly words?: Readonly<Record<string, string>>;
  /** For a list of objects that stands for a set of names: the key of the name. */
  readonly nameKey?: string;
}

/**
 * Where the values of a remote's records stand in the JSON it sends, as data, so
 * that a database can read most of a page by itself.
 */
export interface Projection {
  /** Keys from the answer down to the list of records. */
  readonly rows: readonly string[];
  /** Key of a record's id, and the form it must have (a POSIX regular expression). */
  readonly id: { readonly key: string; readonly pattern: string };
  /** Key that holds something where a record is not what it seems, deleted say; null where there is none. */
  readonly oddKey: string | null;
  /** Where the value of a path stands. */
  readonly locate: (path: string) => ValueLocation;
}
