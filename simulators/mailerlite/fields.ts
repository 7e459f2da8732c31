import { phpJson } from "./php_json.ts";
import type { AccountField } from "./account_field.ts";
import { type Answer, answer, NO_CONTENT, notFound, unprocessable } from "./answers.ts";
import type { ApiCall, World } from "./call.ts";
import { byName, readName } from "./groups.ts";
import { pageEnvelope } from "./paging.ts";
import { refuseFilters } from "./subscriber_read.ts";
import type { FieldType } from "./types.ts";

const TYPES: readonly FieldType[] = ["text", "number", "date"];

/** POST and PUT leave `used_in_automations` out; only list rows carry it (mailerlite-python cassettes, fields-*). */
function fieldJson(field: AccountField, listed: boolean): string {
  const { id, name, key, type, isDefault } = field;
  return phpJson({
    id,
    name,
    key,
    type,
    is_default: isDefault,
    ...(listed ? { used_in_automations: false } : {}),
  });
}

/** GET /fields. */
export function listFields(world: World, call: ApiCall): Answer {
  const refused = refuseFilters(world, call.params, ["keyword", "type"]);
  if (refused !== undefined) return refused;
  const keyword = call.params.get("filter[keyword]")?.toLowerCase();
  const type = call.params.get("filter[type]");
  const sort = call.params.get("sort") ?? "name";
  const byType = sort.replace(/^-/, "") === "type";
  const fields = world.store.fields.active()
    .filter((field) => keyword === undefined || field.name.toLowerCase().includes(keyword))
    .filter((field) => type === null || field.type === type)
    .sort((a, b) => (byType ? byName.compare(a.type, b.type) : byName.compare(a.name, b.name)));
  if (sort.startsWith("-")) fields.reverse();
  return answer(
    200,
    pageEnvelope(call, fields, { perPage: 100, max: 1000 }, (field) => fieldJson(field, true)),
  );
}

// mailerlite-nodejs tapes, batch: 422 with this text.
const TAKEN = { name: ["Field name must be unique"] };

/** POST /fields: 201, though the docs say 200 (mailerlite-python cassettes, fields-create). */
export function postField(world: World, call: ApiCall): Answer {
  const read = readName(call);
  if ("refused" in read) return read.refused;
  const type = TYPES.find((known) => known === call.body["type"]);
  if (type === undefined) return unprocessable({ type: ["The selected type is invalid."] });
  const { fields } = world.store;
  if (fields.nameTaken(read.name)) return unprocessable(TAKEN);
  const custom = fields.active().filter((field) => !field.isDefault).length;
  if (world.switches.fieldsMax === "100" && custom >= 100) {
    return unprocessable({ name: ["The account has the maximum of 100 fields."] });
  }
  const field = fields.add(read.name, type);
  world.recorder.write(world.nowMs(), "field.create", field.id, call.via);
  return answer(201, `{"data":${fieldJson(field, false)}}`);
}

/** PUT /fields/{id}: the name alone; the key stays. */
export function putField(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const { fields } = world.store;
  const field = fields.byId(id);
  if (field === undefined) return notFound("field", id);
  const read = readName(call);
  if ("refused" in read) return read.refused;
  if (fields.nameTaken(read.name, field)) return unprocessable(TAKEN);
  fields.rename(field, read.name);
  world.recorder.write(world.nowMs(), "field.update", field.id, call.via);
  return answer(200, `{"data":${fieldJson(field, false)}}`);
}

/** DELETE /fields/{id}. */
export function deleteField(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const { fields } = world.store;
  const field = fields.byId(id);
  if (field === undefined) return notFound("field", id);
  if (field.isDefault) return unprocessable({ id: ["A default field cannot be deleted."] });
  fields.remove(field);
  world.recorder.write(world.nowMs(), "field.delete", field.id, call.via);
  return NO_CONTENT;
}
