/**
 * Made-up people on both sides, the same for the same seed. Addresses are in
 * domains reserved for examples (RFC 2606).
 *
 * @module
 */
import type { ConsentStatus } from "../../shared/merge/consent.ts";

/** A row of `public.partners`. */
export interface SamplePartner {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly company: string;
}

/** A row of `public.clients`. */
export interface SampleClient {
  readonly id: string;
  readonly email: string | null;
  readonly first_name: string | null;
  readonly last_name: string | null;
  readonly company: string | null;
  readonly phone: string | null;
  readonly city: string | null;
  readonly country: string | null;
  readonly partner_id: string | null;
  readonly marketing_status: ConsentStatus;
  readonly groups: readonly string[];
}

/** A MailerLite subscriber, as the simulator is seeded with it. */
export interface SampleSubscriber {
  readonly email: string;
  readonly status: "active" | "unsubscribed" | "unconfirmed" | "bounced" | "junk";
  readonly fields: Readonly<Record<string, string | null>>;
  readonly groups: readonly string[];
}

/** How many of each kind to make. */
export interface SampleSize {
  /** Clients with exactly one subscriber each. */
  readonly pairs: number;
  /** Addresses that two clients share. */
  readonly sharedAddresses: number;
  /** Clients without a subscriber. */
  readonly onlyLocal: number;
  /** Subscribers without a client. */
  readonly onlyRemote: number;
  /** Of the pairs, how many differ between the sides. */
  readonly drift: number;
}

/** What {@linkcode samplePeople} makes. Clients and subscribers come one by one, since there may be many. */
export interface SamplePeople {
  readonly groups: readonly string[];
  readonly fields: readonly string[];
  readonly partners: readonly SamplePartner[];
  clients(): Generator<SampleClient>;
  subscribers(): Generator<SampleSubscriber>;
}

const FIRST = [
  "Anna",
  "Björn",
  "Chloé",
  "Dmitri",
  "Éva",
  "Fatima",
  "Giorgos",
  "Hana",
  "Íñigo",
  "Jürgen",
]
  .concat([
    "Kaja",
    "Łucja",
    "Mátyás",
    "Noor",
    "Øystein",
    "Priya",
    "Quỳnh",
    "Renée",
    "Siobhán",
    "Tomáš",
  ])
  .concat(["Ümit", "Věra", "Wim", "Xoán", "Yūki", "Zoë", "李", "Мария", "محمد", "O'Neil"]);
const LAST = [
  "Andersson",
  "Brînzaru",
  "Çelik",
  "De la Cruz",
  "Eriksen",
  "Fernández",
  "Großmann",
  "Håkansson",
]
  .concat([
    "Ivanova",
    "Jørgensen",
    "Kowalczyk",
    "Lefèvre",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Papadopoulos",
  ])
  .concat([
    "Quiñones",
    "Rossi",
    "Šimić",
    "Thorsdóttir",
    "Ünal",
    "van den Berg",
    "Węgrzyn",
    "Yıldız",
    "Żak",
  ]);
const CITIES: readonly (readonly [string, string])[] = [
  ["København", "Denmark"],
  ["Kraków", "Poland"],
  ["Málaga", "Spain"],
  ["Zürich", "Switzerland"],
  ["Reykjavík", "Iceland"],
  ["İzmir", "Türkiye"],
  ["São Paulo", "Brazil"],
  ["Vilnius", "Lithuania"],
];
const STATUSES: readonly (readonly [ConsentStatus, SampleSubscriber["status"], number])[] = [
  ["subscribed", "active", 0.88],
  ["unsubscribed", "unsubscribed", 0.94],
  ["pending", "unconfirmed", 0.96],
  ["bounced", "bounced", 0.99],
  ["complained", "junk", 1],
];

/** The fields a MailerLite account needs for `sync.config.ts`, besides its built-in ones. */
const FIELDS = ["partner_name", "partner_email", "partner_company"];
const GROUPS = ["Clients", "VIP", "Newsletter"];

// mulberry32, by Tommy Ettinger (public domain): 32 bits of state are plenty here.
function randomBy(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function pick<T>(random: () => number, from: readonly T[]): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new RangeError("Cannot pick from an empty list");
  return chosen;
}

function uuid(kind: number, n: number): string {
  return `${String(kind).padStart(8, "0")}-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

function address(n: number, random: () => number): string {
  const forms = [
    `person.${n}@example.org`,
    `p${n}+news@example.com`,
    `o'person-${n}@example.net`,
    `${n}_%x@mail.example`,
    `first.middle.last.${n}@a.very.long.sub.domain.of.some.company.example`,
    `{${n}}!#$&*=?^|~@example.org`,
    `büro-${n}@example.com`,
  ];
  return random() < 0.9 ? forms[0] ?? "" : pick(random, forms);
}

/** How an address looks when a person typed it into a form: the sync has to see through it. */
function asTyped(email: string, random: () => number): string {
  const roll = random();
  if (roll < 0.05) return email.toUpperCase();
  if (roll < 0.08) return ` ${email} `;
  if (roll < 0.1) return email.normalize("NFD");
  return email;
}

/** One person, on both sides where there is one on both. */
function person(n: number, seed: number, partners: readonly SamplePartner[], drifts: boolean) {
  const random = randomBy(seed * 1_000_003 + n);
  const email = address(n, random);
  const [city, country] = pick(random, CITIES);
  const roll = random();
  const [consent, status] = STATUSES.find(([, , below]) => roll < below) ?? ["none", "active"];
  const partner = random() < 0.4 ? pick(random, partners) : null;
  const firstName = pick(random, FIRST);
  const lastName = pick(random, LAST);
  const company = random() < 0.5 ? `${lastName} & Co` : null;
  const phone = random() < 0.3 ? `+45 ${10_000_000 + n}` : null;
  const groups = ["Clients", ...(random() < 0.1 ? ["VIP"] : [])];
  const client: SampleClient = {
    id: uuid(1, n),
    email: asTyped(email, random),
    first_name: firstName,
    last_name: lastName,
    company,
    phone,
    city,
    country,
    partner_id: partner?.id ?? null,
    marketing_status: consent,
    groups,
  };
  const subscriber: SampleSubscriber = {
    email,
    status,
    fields: {
      name: firstName,
      last_name: lastName,
      company,
      phone,
      city: drifts ? `${city} (moved)` : city,
      country,
      partner_name: partner?.name ?? null,
      partner_email: partner?.email ?? null,
      partner_company: partner?.company ?? null,
    },
    // A group that the pair does not manage is there to be left alone.
    groups: random() < 0.2 ? [...groups, "Newsletter"] : groups,
  };
  return { client, subscriber };
}

/** Makes people of both sides. */
export function samplePeople(size: SampleSize, seed = 1): SamplePeople {
  const partners = Array.from({ length: 40 }, (_, i): SamplePartner => ({
    id: uuid(2, i),
    name: `Partner ${pick(randomBy(seed + i), LAST)}`,
    email: `partner-${i}@example.org`,
    company: `Partner Company ${i}`,
  }));
  const driftEvery = size.drift === 0 ? Infinity : Math.floor(size.pairs / size.drift);
  const make = (n: number) =>
    person(n, seed, partners, n % driftEvery === 0 && n / driftEvery < size.drift);
  const shared = size.pairs;
  const onlyLocal = shared + size.sharedAddresses;
  const onlyRemote = onlyLocal + size.onlyLocal;
  const end = onlyRemote + size.onlyRemote;
  return {
    groups: GROUPS,
    fields: FIELDS,
    partners,
    *clients() {
      for (let n = 0; n < onlyRemote; n++) {
        const { client } = make(n);
        yield client;
        if (n >= shared && n < onlyLocal) yield { ...client, id: uuid(3, n) };
      }
    },
    *subscribers() {
      for (let n = 0; n < end; n++) {
        if (n < onlyLocal || n >= onlyRemote) yield make(n).subscriber;
      }
    },
  };
}
