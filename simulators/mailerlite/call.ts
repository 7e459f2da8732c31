import type { Answer } from "./answers.ts";
import type { ImportTable } from "./import_table.ts";
import type { Journal } from "./journal.ts";
import type { Json, JsonObject } from "./json.ts";
import { isJsonObject } from "./json.ts";
import type { Recorder } from "./recorder.ts";
import type { Store } from "./store.ts";
import type { Switches } from "./switches.ts";
import type { Via } from "./types.ts";
import type { WebhookTable } from "./webhook_table.ts";

/** The account and its surroundings, as every route sees them. */
export interface World {
  readonly store: Store;
  readonly webhooks: WebhookTable;
  readonly imports: ImportTable;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly switches: Readonly<Switches>;
  nowMs(): number;
}

/** One request to a route, single or as an item of a batch. */
export interface ApiCall {
  readonly method: string;
  /** Below `api/`, without slashes at the ends. */
  readonly path: string;
  readonly params: URLSearchParams;
  readonly body: JsonObject;
  /** `https://host/api`, for links. */
  readonly base: string;
  readonly via: Via;
}

/** What runs behind a route; `args` are the decoded parts in braces. */
export type Handler = (world: World, call: ApiCall, args: readonly string[]) => Answer;

/** A path with `{…}` for its parts, below `api/`. */
export interface Route {
  readonly method: string;
  readonly template: string;
  readonly run: Handler;
}

/**
 * GET parameters given in a batch item's body, as `filter[status]` and the like
 * (mailerlite-nodejs tapes, batch: such a filter took effect).
 */
export function paramsFromBody(body: JsonObject, params: URLSearchParams): void {
  const put = (name: string, value: Json): void => {
    if (isJsonObject(value)) {
      for (const [key, inner] of Object.entries(value)) put(`${name}[${key}]`, inner);
    } else if (value !== null && !Array.isArray(value)) params.set(name, String(value));
  };
  for (const [key, value] of Object.entries(body)) put(key, value);
}

/** A parameter or body value as an id: numeric text or a number. */
export function idText(value: Json | undefined): string | undefined {
  if (typeof value === "number" && Number.isInteger(value)) return String(value);
  return typeof value === "string" && /^\d+$/.test(value) ? value : undefined;
}
