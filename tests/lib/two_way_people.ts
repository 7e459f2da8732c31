/**
 * The made-up people of the tests, by number: equal on both sides where nothing else is said.
 *
 * @module
 */
import type { PersonSpec } from "./two_way_rows.ts";

/** The address of the person with a number. */
export function address(n: number): string {
  return `person${n}@example.com`;
}

/** The id of the client with a number. */
export function clientId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

/** The id of another client for the person with a number. */
export function otherClientId(n: number): string {
  return clientId(n + 1_000_000);
}

/** Somebody who has left, as both sides know. */
export const UNSUBSCRIBED: PersonSpec = {
  client: { marketing_status: "unsubscribed" },
  subscriber: { status: "unsubscribed" },
};

/** What is equal on both sides of a person. */
export const EQUAL = {
  client: {
    first_name: "Ann",
    last_name: "Lee",
    company: null,
    phone: "+1 555 0100",
    city: "Oslo",
    country: "Norway",
    marketing_status: "subscribed",
    groups: ["Clients"],
  },
  fields: { name: "Ann", last_name: "Lee", phone: "+1 555 0100", city: "Oslo", country: "Norway" },
} as const;

/** The fields that the account defines for itself. */
export const CUSTOM_FIELDS = ["partner_name", "partner_email", "partner_company"];

/** A subscriber as the simulator is filled with. */
export function subscriberSeed(n: number, spec: NonNullable<PersonSpec["subscriber"]>) {
  return {
    email: spec.email ?? address(n),
    status: spec.status ?? "active",
    fields: { ...EQUAL.fields, ...spec.fields },
    groups: spec.groups ?? ["Clients"],
  } as const;
}

/** So many people who are equal on both sides. */
export function equalPeople(count: number): PersonSpec[] {
  return Array.from({ length: count }, () => ({}));
}
