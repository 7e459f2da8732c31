import { assert, assertEquals, assertRejects } from "@std/assert";
import { AccountFile, DamagedAccountError } from "./account_file.ts";
import { MailerLiteSimulator } from "./simulator.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");

function simulator(): MailerLiteSimulator {
  return new MailerLiteSimulator({
    now: () => NOW,
    limits: { enabled: false, perMinute: 120, importsPerMinute: 5 },
  });
}

async function call(of: MailerLiteSimulator, method: string, path: string, body?: unknown) {
  const response = await of.handle(
    new Request(`http://mailerlite.test/api/${path}`, {
      method,
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  return { status: response.status, text };
}

async function temporaryFile(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  return {
    path: `${folder}/account.ndjson`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** An account with a person of each kind, written to a file. */
async function kept(path: string): Promise<MailerLiteSimulator> {
  const first = simulator();
  await using _ = await AccountFile.open(first, path);
  first.seed({
    groups: ["VIP", "Clients"],
    fields: [{ name: "Score", key: "score", type: "number" }],
    subscribers: [
      { email: "ada@example.com", fields: { name: "Ada “Ł”\n", score: 3 }, groups: ["VIP"] },
      { email: "bob@example.com", status: "unsubscribed", sent: 4, open_rate: 0.5 },
      { email: "cid@example.com", status: "unconfirmed", subscribed_at: null },
      { email: "dee@example.com" },
      { email: "eve@example.com" },
    ],
  });
  await call(first, "POST", "subscribers", { email: "fay@example.com" });
  first.remove("dee@example.com");
  const eve = [...first.readAllJson()].find((text) => text.includes("eve@"));
  await call(first, "POST", `subscribers/${/"id":"(\d+)"/.exec(eve ?? "")?.[1]}/forget`);
  return first;
}

async function again(path: string): Promise<MailerLiteSimulator> {
  const next = simulator();
  await using _ = await AccountFile.open(next, path);
  return next;
}

Deno.test("what was kept is the same to the letter after a start", async () => {
  await using file = await temporaryFile();
  const first = await kept(file.path);
  const second = await again(file.path);
  assertEquals([...second.readAllJson()], [...first.readAllJson()]);
  assertEquals(second.counts(), first.counts());
  for (const path of ["groups", "subscribers?limit=100"]) {
    const [was, is] = [await call(first, "GET", path), await call(second, "GET", path)];
    assertEquals(is, was);
    assertEquals(is.status, 200);
  }
});

Deno.test("who was deleted comes back under the old id, and who was forgotten is erased in time", async () => {
  await using file = await temporaryFile();
  const first = await kept(file.path);
  const second = await again(file.path);
  const [was, is] = [
    await call(first, "POST", "subscribers", { email: "dee@example.com" }),
    await call(second, "POST", "subscribers", { email: "dee@example.com" }),
  ];
  assertEquals([is.status, is.text], [was.status, was.text]);
  assertEquals(second.counts().deleted, 1);
  second.advance(31 * 86_400_000);
  assertEquals(second.counts().deleted, 0);
});

Deno.test("no id is given twice, whatever the start it was made in", async () => {
  await using file = await temporaryFile();
  await kept(file.path);
  const second = await again(file.path);
  second.seed({
    groups: ["New", "Newer"],
    subscribers: [{ email: "gil@example.com" }, { email: "hal@example.com" }],
  });
  await call(second, "POST", "subscribers", { email: "ida@example.com" });
  assertEquals(second.counts().groups, 4);
  const ids = [...second.readAllJson()].map((text) => /"id":"(\d+)"/.exec(text)?.[1]);
  assertEquals([ids.length, new Set(ids).size], [7, 7]);
});

Deno.test("an account that has not changed is not written", async () => {
  await using file = await temporaryFile();
  await kept(file.path);
  const before = await Deno.stat(file.path);
  const second = simulator();
  {
    await using account = await AccountFile.open(second, file.path);
    await call(second, "GET", "subscribers");
    second.seed({ groups: ["VIP"], fields: [{ name: "Score", key: "score" }] });
    await account.save();
  }
  // It is written by a new name, so another file would be there.
  assertEquals((await Deno.stat(file.path)).ino, before.ino);
});

Deno.test("a draft that was cut off is not read, and is written over", async () => {
  await using file = await temporaryFile();
  const first = await kept(file.path);
  await Deno.writeTextFile(`${file.path}.draft`, '{"account":1,"lines":9');
  const second = simulator();
  {
    await using _ = await AccountFile.open(second, file.path);
    assertEquals([...second.readAllJson()], [...first.readAllJson()]);
    second.change("ada@example.com", { fields: { city: "Rome" } });
  }
  assertEquals([...(await again(file.path)).readAllJson()], [...second.readAllJson()]);
  assertEquals(await Deno.stat(`${file.path}.draft`).catch(() => null), null);
});

Deno.test("a damaged file is named with the place, and nothing of what stands there", async () => {
  await using file = await temporaryFile();
  await kept(file.path);
  const text = await Deno.readTextFile(file.path);
  const cases: [how: string, text: string][] = [
    ["empty", ""],
    ["cut inside a line", text.slice(0, -40)],
    ["cut at the end of a line", text.slice(0, text.trimEnd().lastIndexOf("\n") + 1)],
    ["without a head", text.slice(text.indexOf("\n") + 1)],
    ["a head of another form", text.replace('"account":1', '"account":2')],
    ["a line too many", `${text}{"email":"zoe@example.com"}\n`],
    ["an address twice", text.replaceAll("bob@", "ada@")],
    ["a line that is no record", text.replace(/\{"group".*/, "null")],
    ["not text", text.replace("ada@example.com", '"')],
  ];
  for (const [how, damaged] of cases) {
    assert(damaged !== text, how);
    await Deno.writeTextFile(file.path, damaged);
    const error = await assertRejects(() => again(file.path), DamagedAccountError);
    assert(error.message.includes(file.path), how);
    assert(!error.message.includes("example.com"), how);
    assertEquals(await Deno.readTextFile(file.path), damaged, how);
  }
});
