import type { Route } from "./call.ts";
import { deleteField, listFields, postField, putField } from "./fields.ts";
import {
  assignGroup,
  deleteGroup,
  getGroup,
  listGroups,
  listGroupSubscribers,
  postGroup,
  putGroup,
  unassignGroup,
} from "./groups.ts";
import { getImport, importIntoGroup, importSubscribers, listImports } from "./imports.ts";
import { getActivity, getSubscriber, listSubscribers } from "./subscriber_read.ts";
import {
  deleteSubscriber,
  forgetSubscriber,
  postSubscriber,
  putSubscriber,
} from "./subscriber_write.ts";
import { deleteWebhook, getWebhook, listWebhooks, postWebhook, putWebhook } from "./webhooks.ts";

/** Every route but the batch; a literal part stands before a `{…}` in its place. */
export const ROUTES: readonly Route[] = [
  { method: "GET", template: "subscribers", run: listSubscribers },
  { method: "POST", template: "subscribers", run: postSubscriber },
  { method: "GET", template: "subscribers/import", run: listImports },
  { method: "POST", template: "subscribers/import", run: importSubscribers },
  { method: "GET", template: "subscribers/import/{id}", run: getImport },
  { method: "GET", template: "subscribers/{id}", run: getSubscriber },
  { method: "PUT", template: "subscribers/{id}", run: putSubscriber },
  { method: "DELETE", template: "subscribers/{id}", run: deleteSubscriber },
  { method: "POST", template: "subscribers/{id}/forget", run: forgetSubscriber },
  { method: "GET", template: "subscribers/{id}/activity-log", run: getActivity },
  { method: "POST", template: "subscribers/{id}/groups/{group}", run: assignGroup },
  { method: "DELETE", template: "subscribers/{id}/groups/{group}", run: unassignGroup },
  { method: "GET", template: "groups", run: listGroups },
  { method: "POST", template: "groups", run: postGroup },
  { method: "GET", template: "groups/{id}", run: getGroup },
  { method: "PUT", template: "groups/{id}", run: putGroup },
  { method: "DELETE", template: "groups/{id}", run: deleteGroup },
  { method: "GET", template: "groups/{id}/subscribers", run: listGroupSubscribers },
  { method: "POST", template: "groups/{id}/import-subscribers", run: importIntoGroup },
  { method: "GET", template: "fields", run: listFields },
  { method: "POST", template: "fields", run: postField },
  { method: "PUT", template: "fields/{id}", run: putField },
  { method: "DELETE", template: "fields/{id}", run: deleteField },
  { method: "GET", template: "webhooks", run: listWebhooks },
  { method: "POST", template: "webhooks", run: postWebhook },
  { method: "GET", template: "webhooks/{id}", run: getWebhook },
  { method: "PUT", template: "webhooks/{id}", run: putWebhook },
  { method: "DELETE", template: "webhooks/{id}", run: deleteWebhook },
];

/** What a method and path come to. */
export type RouteMatch =
  | { kind: "route"; route: Route; args: string[] }
  | { kind: "batch" }
  | { kind: "method_not_allowed"; template: string; allowed: string[] }
  | { kind: "not_found" };

const BY_LENGTH = new Map<number, { route: Route; parts: string[] }[]>();
for (const route of ROUTES) {
  const parts = route.template.split("/");
  const known = BY_LENGTH.get(parts.length) ?? [];
  known.push({ route, parts });
  BY_LENGTH.set(parts.length, known);
}

/** The path below `api/` in parts, percent-decoded; a malformed escape stays as it is. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function argsOf(parts: readonly string[], sent: readonly string[]): string[] | undefined {
  const args: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? "";
    const given = sent[i] ?? "";
    if (part.startsWith("{")) args.push(given);
    else if (part !== given) return undefined;
  }
  return args;
}

/** Finds the route of a method and a path below `api/`. */
export function matchRoute(method: string, path: string): RouteMatch {
  if (path === "batch") {
    return method === "POST"
      ? { kind: "batch" }
      : { kind: "method_not_allowed", template: "batch", allowed: ["POST"] };
  }
  const sent = path.split("/").map(decodePart);
  const allowed: string[] = [];
  let template = "";
  for (const { route, parts } of BY_LENGTH.get(sent.length) ?? []) {
    const args = argsOf(parts, sent);
    if (args === undefined) continue;
    if (route.method === method) return { kind: "route", route, args };
    allowed.push(...(route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
    template ||= route.template;
  }
  return allowed.length === 0
    ? { kind: "not_found" }
    : { kind: "method_not_allowed", template, allowed };
}
