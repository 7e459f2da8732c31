import type { RemoteSchema, WriteOp } from "../connector.ts";
import { BATCH_MAX, type BatchItem, isUpsert } from "./batch.ts";
import { encodeFields } from "./encode.ts";
import { subscriberItem } from "./read.ts";
import type { MailerLiteStatus } from "./subscriber.ts";

/** One call of an operation, and what it is for. */
export type PlannedItem =
  & { readonly item: BatchItem }
  & (
    | {
      /** Reads or writes the subscriber; its answer is the record. */
      readonly part: "subscriber";
    }
    | {
      /** Puts the subscriber into a group, or takes it out. */
      readonly part: "add" | "remove";
      readonly group: string;
    }
  );

/** What an operation takes. */
export type PlannedWrite =
  | {
    readonly items: readonly PlannedItem[];
    /** The status it sets, if any. */
    readonly status: MailerLiteStatus | null;
    /** The address it is keyed by, for a create. */
    readonly email: string | null;
    /** The new address, for an update that changes it. */
    readonly address: string | null;
  }
  | {
    /** Why it cannot be sent at all. */
    readonly refused: string;
  };

// An own key only: a group may be called "constructor".
function groupIds(schema: RemoteSchema, name: string): readonly string[] {
  const groups = schema.sets.groups ?? {};
  return Object.hasOwn(groups, name) ? groups[name] ?? [] : [];
}

function membership(
  method: "POST" | "DELETE",
  id: string,
  groupId: string,
): BatchItem {
  return {
    method,
    route: "/subscribers/{id}/groups/{group}",
    path: `/subscribers/${encodeURIComponent(id)}/groups/${encodeURIComponent(groupId)}`,
  };
}

function planCreate(
  schema: RemoteSchema,
  op: WriteOp & { op: "create" },
): PlannedWrite {
  const encoded = encodeFields(op.fields, "create");
  if ("refused" in encoded) return encoded;
  const groups: string[] = [];
  for (const name of op.sets.groups ?? []) {
    const [id] = groupIds(schema, name);
    if (id === undefined) return { refused: "group_missing" };
    groups.push(id);
  }
  const { email, status, fields } = encoded.body;
  const item: BatchItem = {
    method: "POST",
    route: "/subscribers",
    path: "/subscribers",
    body: {
      ...(email === undefined ? {} : { email }),
      ...(status === undefined ? {} : { status }),
      ...(fields === undefined ? {} : { fields }),
      ...(groups.length === 0 ? {} : { groups }),
    },
  };
  return {
    items: [{ item, part: "subscriber" }],
    status: status ?? null,
    email: email ?? null,
    address: null,
  };
}

function planUpdate(
  schema: RemoteSchema,
  op: WriteOp & { op: "update" },
): PlannedWrite {
  const encoded = encodeFields(op.fields, "update");
  if ("refused" in encoded) return encoded;
  const items: PlannedItem[] = [];
  // Group by group, because `groups` in an update replaces the membership, the
  // groups nobody manages here included (MailerLite docs, Subscribers).
  for (const group of op.sets.groups?.add ?? []) {
    const [id] = groupIds(schema, group);
    if (id === undefined) return { refused: "group_missing" };
    items.push({ item: membership("POST", op.id, id), part: "add", group });
  }
  for (const group of op.sets.groups?.remove ?? []) {
    for (const id of groupIds(schema, group)) {
      const item = membership("DELETE", op.id, id);
      items.push({ item, part: "remove", group });
    }
  }
  const { email, status, fields } = encoded.body;
  const isEmpty = Object.keys(encoded.body).length === 0;
  // Last, so that its answer holds what came before it.
  items.push({
    part: "subscriber",
    item: isEmpty ? subscriberItem(op.id) : {
      ...subscriberItem(op.id),
      method: "PUT",
      body: {
        ...(email === undefined ? {} : { email }),
        ...(status === undefined ? {} : { status }),
        ...(fields === undefined ? {} : { fields }),
      },
    },
  });
  return { items, status: status ?? null, email: null, address: email ?? null };
}

/** Lays out the calls of one operation. */
export function planWrite(schema: RemoteSchema, op: WriteOp): PlannedWrite {
  if (op.op !== "create" && !/^\d+$/.test(op.id)) {
    return { refused: "invalid_id" };
  }
  if (op.op === "delete") {
    const item: BatchItem = { ...subscriberItem(op.id), method: "DELETE" };
    return { items: [{ item, part: "subscriber" }], status: null, email: null, address: null };
  }
  const unknown = Object.keys(op.sets).some((path) => path !== "groups");
  if (unknown) return { refused: "unsupported_path" };
  return op.op === "create" ? planCreate(schema, op) : planUpdate(schema, op);
}

/** A call of a batch; `op` is the operation's position, null for one that belongs to none. */
export interface PackedItem {
  readonly op: number | null;
  readonly planned: PlannedItem | null;
  readonly item: BatchItem;
}

const READ_ALONG: PackedItem = {
  op: null,
  planned: null,
  item: { method: "GET", route: "/groups", path: "/groups?limit=1" },
};

/**
 * Spreads calls over batches. The calls of one operation stay together where
 * they fit.
 *
 * @param avoidImport Whether a batch of upserts alone gets a read along. The docs
 *   say that a batch which holds "entirely" upserts is run as an import, of which
 *   five a minute are allowed; with the read it is an ordinary batch.
 */
export function packBatches(
  plans: readonly PlannedWrite[],
  avoidImport: boolean,
): PackedItem[][] {
  const batches: PackedItem[][] = [];
  let batch: PackedItem[] = [];
  const roomWith = (items: readonly PackedItem[]) => {
    const together = [...batch, ...items];
    const isImport = together.every(({ item }) => isUpsert(item));
    return BATCH_MAX - together.length - (avoidImport && isImport ? 1 : 0);
  };
  const close = () => {
    const isImport = batch.length > 1 &&
      batch.every(({ item }) => isUpsert(item));
    if (batch.length > 0) {
      batches.push(avoidImport && isImport ? [...batch, READ_ALONG] : batch);
    }
    batch = [];
  };
  for (const [op, plan] of plans.entries()) {
    if ("refused" in plan) continue;
    const items = plan.items.map((planned) => ({
      op,
      planned,
      item: planned.item,
    }));
    if (roomWith(items) < 0) close();
    for (const item of items) {
      if (roomWith([item]) < 0) close();
      batch.push(item);
    }
  }
  close();
  return batches;
}
