import { type AccountGroup, groupJson } from "./account_group.ts";
import { type Answer, answer, message, NO_CONTENT, notFound, unprocessable } from "./answers.ts";
import { type ApiCall, idText, type World } from "./call.ts";
import { pageEnvelope } from "./paging.ts";
import { applyGroups } from "./subscriber_change.ts";
import { refuseFilters, statusTest, subscriberPage } from "./subscriber_read.ts";
import { liveGroups } from "./store.ts";

/** By name, punctuation and case ignored (mailerlite-python cassettes, groups-list and fields-list). */
export const byName = new Intl.Collator("en", { ignorePunctuation: true, sensitivity: "base" });

/** MailerLite docs, Groups: at most 1000 groups an account. */
const GROUPS_MAX = 1000;

const SORTS: Readonly<Record<string, (group: AccountGroup) => number>> = {
  total: (group) => group.shown[0] ?? 0,
  open_rate: () => 0,
  click_rate: () => 0,
  created_at: (group) => group.createdAt,
};

/** GET /groups. */
export function listGroups(world: World, call: ApiCall): Answer {
  const refused = refuseFilters(world, call.params, ["name"]);
  if (refused !== undefined) return refused;
  const part = call.params.get("filter[name]")?.toLowerCase();
  const groups = world.store.groups.all()
    .filter((group) => part === undefined || group.name.toLowerCase().includes(part))
    .sort((a, b) => byName.compare(a.name, b.name) || a.createdAt - b.createdAt);
  const sort = call.params.get("sort") ?? "name";
  const key = SORTS[sort.replace(/^-/, "")];
  if (key !== undefined) groups.sort((a, b) => key(a) - key(b));
  if (sort.startsWith("-")) groups.reverse();
  const perPage = Number(world.switches.groupsPageDefault);
  return answer(200, pageEnvelope(call, groups, { perPage, max: GROUPS_MAX }, groupJson));
}

/** A name from a body, or the 422 that it is not one. */
export function readName(call: ApiCall): { name: string } | { refused: Answer } {
  const value = call.body["name"];
  const name = typeof value === "string" ? value.trim() : "";
  if (name === "") return { refused: unprocessable({ name: ["The name field is required."] }) };
  if (name.length > 255) {
    return {
      refused: unprocessable({ name: ["The name field must not be greater than 255 characters."] }),
    };
  }
  return { name };
}

function nameTaken(world: World, name: string, except?: AccountGroup): Answer | undefined {
  const holder = world.store.groups.byName(name);
  if (world.switches.duplicateGroupNames === "allow" || holder === undefined || holder === except) {
    return undefined;
  }
  return unprocessable({ name: ["The name has already been taken."] });
}

/** POST /groups: 201. */
export function postGroup(world: World, call: ApiCall): Answer {
  const read = readName(call);
  if ("refused" in read) return read.refused;
  const taken = nameTaken(world, read.name);
  if (taken !== undefined) return taken;
  const { store } = world;
  if (store.groups.size >= GROUPS_MAX) {
    return unprocessable({ name: [`The account has the maximum of ${GROUPS_MAX} groups.`] });
  }
  const group = store.groups.add(store.ids.next(world.nowMs()), read.name, store.nowSeconds());
  world.recorder.write(world.nowMs(), "group.create", group.id, call.via);
  return answer(201, `{"data":${groupJson(group)}}`);
}

/** GET /groups/{id}. */
export function getGroup(world: World, _call: ApiCall, [id = ""]: readonly string[]): Answer {
  const group = world.store.groups.byId(id);
  return group === undefined ? notFound("group", id) : answer(200, `{"data":${groupJson(group)}}`);
}

/** PUT /groups/{id}. */
export function putGroup(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const group = world.store.groups.byId(id);
  if (group === undefined) return notFound("group", id);
  const read = readName(call);
  if ("refused" in read) return read.refused;
  const taken = nameTaken(world, read.name, group);
  if (taken !== undefined) return taken;
  world.store.groups.rename(group, read.name);
  world.recorder.write(world.nowMs(), "group.update", group.id, call.via);
  return answer(200, `{"data":${groupJson(group)}}`);
}

/** DELETE /groups/{id}: the group goes, its subscribers stay. */
export function deleteGroup(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const group = world.store.groups.byId(id);
  if (group === undefined) return notFound("group", id);
  world.store.groups.remove(group);
  world.recorder.write(world.nowMs(), "group.delete", group.id, call.via);
  return NO_CONTENT;
}

/** GET /groups/{id}/subscribers: active ones unless a status is asked for, 50 a page, 1000 at most. */
export function listGroupSubscribers(
  world: World,
  call: ApiCall,
  [id = ""]: readonly string[],
): Answer {
  const group = world.store.groups.byId(id);
  if (group === undefined) return notFound("group", id);
  const refused = refuseFilters(world, call.params, ["status"]);
  if (refused !== undefined) return refused;
  const hasStatus = statusTest(call.params.get("filter[status]") ?? "active");
  const test = (row: Parameters<typeof hasStatus>[0]) =>
    hasStatus(row) && world.store.listedMembership(row).groups.includes(group);
  return subscriberPage(world, call, { perPage: 50, max: 1000, rejectAboveMax: false, test });
}

/**
 * POST /subscribers/{id}/groups/{id}: 200 with the group, whose counters do not
 * know the new member yet (mailerlite-java, TestAssignSubscriberToGroup).
 */
export function assignGroup(
  world: World,
  call: ApiCall,
  [sid = "", gid = ""]: readonly string[],
): Answer {
  if (idText(sid) === undefined || idText(gid) === undefined) {
    return unprocessable({ id: ["The id must be a number."] });
  }
  const row = world.store.byId(sid);
  if (row === undefined || row.deletedAt !== null) return notFound("subscriber", sid);
  const group = world.store.groups.byId(gid);
  if (group === undefined) return notFound("group", gid);
  applyGroups(world, row, [group], { via: call.via, groups: "add" });
  return answer(200, `{"data":${groupJson(group)}}`);
}

/** DELETE /subscribers/{id}/groups/{id}: 204; a 404 here has an empty message (MailerLite docs, Groups). */
export function unassignGroup(
  world: World,
  call: ApiCall,
  [sid = "", gid = ""]: readonly string[],
): Answer {
  const row = world.store.byId(sid);
  const group = world.store.groups.byId(gid);
  if (row === undefined || row.deletedAt !== null || group === undefined) return message(404, "");
  const rest = liveGroups(row.membership).filter((held) => held !== group);
  applyGroups(world, row, rest, { via: call.via, groups: "replace" });
  return NO_CONTENT;
}
