/**
 * MailerLite behind the connector contract. Reads `MAILERLITE_API_KEY` and
 * `MAILERLITE_API_URL` from the environment of each call.
 *
 * @module
 */
import type { Connector, RemoteSchema } from "../connector.ts";
import type { RemoteEndpoint } from "../remote_endpoint.ts";
import { MailerLiteClient } from "./client.ts";
import { describeAccount } from "./describe.ts";
import { createGroups } from "./groups.ts";
import { fetchSubscribers, listSubscribers, readSubscribersRest } from "./list.ts";
import { findSubscribers, getSubscribers } from "./read.ts";
import { SUBSCRIBERS } from "./spec.ts";
import { subscriberWebhook } from "./webhook.ts";
import { writeSubscribers } from "./write.ts";

/** What a pair chooses about MailerLite's subscribers. */
export interface SubscriberOptions {
  /** Groups the pair may put people into and take them out of; default none. Every other group is left alone. */
  readonly managedGroups?: readonly string[];
  /** Whether a managed group that does not exist is made; default no. */
  readonly createMissingGroups?: boolean;
}

const connector: Connector = {
  spec: SUBSCRIBERS,
  describe: async (context) => await describeAccount(new MailerLiteClient(context)),
  list: async (context, cursor) => await listSubscribers(new MailerLiteClient(context), cursor),
  fetchPage: async (context, cursor, options) =>
    await fetchSubscribers(new MailerLiteClient(context), cursor, options),
  readRest: readSubscribersRest,
  get: async (context, ids) => await getSubscribers(new MailerLiteClient(context), ids),
  find: async (context, keys) => await findSubscribers(new MailerLiteClient(context), keys),
  write: async (context, schema, operations) =>
    await writeSubscribers(new MailerLiteClient(context), schema, operations),
  createSetNames: async (context, schema, set, names): Promise<RemoteSchema> =>
    set === "groups" ? await createGroups(new MailerLiteClient(context), schema, names) : schema,
  webhook: subscriberWebhook,
};

function subscribers(options: SubscriberOptions = {}): RemoteEndpoint {
  return {
    connector,
    managed: { groups: options.managedGroups ?? [] },
    createMissing: options.createMissingGroups ?? false,
  };
}

/** MailerLite's record types. */
export const mailerlite = { subscribers } as const;
