import type { FieldType } from "./types.ts";

/** A field of the account; `column` is its place in every subscriber's values. */
export interface AccountField {
  readonly id: string;
  readonly key: string;
  readonly type: FieldType;
  readonly isDefault: boolean;
  readonly column: number;
  name: string;
  removed: boolean;
}

/** Built-in fields with their recorded ids (mailerlite-python cassettes, fields-list). */
const BUILT_IN: readonly (readonly [name: string, key: string])[] = [
  ["Name", "name"],
  ["Last name", "last_name"],
  ["Company", "company"],
  ["Country", "country"],
  ["City", "city"],
  ["Phone", "phone"],
  ["State", "state"],
  ["Zip", "z_i_p"],
];

/** The smallest recorded id of a custom field is six digits long. */
const FIRST_CUSTOM_ID = 545_001;

/** The fields of an account, built-in and custom. */
export class FieldTable {
  /** Every field ever made, by column; a removed one keeps its place. */
  readonly columns: AccountField[] = [];
  /** Rises whenever the set of fields, and with it every serialised row, changes. */
  version = 0;
  #byKey = new Map<string, AccountField>();
  #nextId = FIRST_CUSTOM_ID;

  constructor() {
    BUILT_IN.forEach(([name, key], index) =>
      this.#push(String(index + 1), name, key, "text", true)
    );
  }

  /** The fields in use, in the order of their making. */
  active(): AccountField[] {
    return this.columns.filter((field) => !field.removed);
  }

  /** The field in use under this key. */
  byKey(key: string): AccountField | undefined {
    return this.#byKey.get(key);
  }

  /** The field in use with this id. */
  byId(id: string): AccountField | undefined {
    return this.columns.find((field) => field.id === id && !field.removed);
  }

  /** Whether another field in use has this name, whatever its case. */
  nameTaken(name: string, except?: AccountField): boolean {
    const wanted = name.toLowerCase();
    return this.columns.some((field) =>
      !field.removed && field !== except && field.name.toLowerCase() === wanted
    );
  }

  /** Adds a custom field; the key is made from the name and never changes (mailerlite-nodejs tapes, fields). */
  add(name: string, type: FieldType, key?: string): AccountField {
    return this.#push(
      String(this.#nextId++),
      name,
      this.#freeKey(key ?? keyFromName(name)),
      type,
      false,
    );
  }

  /** Gives a field a new name; its key stays. */
  rename(field: AccountField, name: string): void {
    field.name = name;
  }

  /** Takes a custom field out of use. */
  remove(field: AccountField): void {
    field.removed = true;
    this.#byKey.delete(field.key);
    this.version++;
  }

  #push(id: string, name: string, key: string, type: FieldType, isDefault: boolean): AccountField {
    const field: AccountField = {
      id,
      name,
      key,
      type,
      isDefault,
      column: this.columns.length,
      removed: false,
    };
    this.columns.push(field);
    this.#byKey.set(key, field);
    this.version++;
    return field;
  }

  #freeKey(key: string): string {
    let free = key;
    for (let n = 1; this.#byKey.has(free); n++) free = `${key}_${n}`;
    return free;
  }
}

function keyFromName(name: string): string {
  const key = name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "_").replace(/^_+|_+$/g, "");
  return key === "" ? "field" : key;
}
