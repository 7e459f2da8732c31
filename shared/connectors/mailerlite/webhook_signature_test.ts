import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import fc from "fast-check";
import { hmacSha256Hex } from "../../../simulators/mailerlite/encoding.ts";
import { MissingConfigurationError } from "../missing_configuration_error.ts";
import { isSigned, webhookSecrets } from "./webhook_signature.ts";

const bodyOf = (text: string): ArrayBuffer => bufferOf([...new TextEncoder().encode(text)]);

function bufferOf(bytes: readonly number[]): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

// Text whose bytes can be told back: no lone surrogates.
const text = fc.string({ unit: "grapheme", maxLength: 200 });
const secret = fc.stringMatching(/^[A-Za-z0-9]{10}$/);

Deno.test("webhookSecrets() reads one secret, or several between commas", () => {
  const read = (value: string) => webhookSecrets(() => value);
  assertEquals(read("abcdefghij"), ["abcdefghij"]);
  assertEquals(read(" abcdefghij , klmnopqrst,\n"), ["abcdefghij", "klmnopqrst"]);
});

Deno.test("webhookSecrets() names the variable where there is none", () => {
  for (const value of [undefined, "", "  ", " , ,"]) {
    const error = assertThrows(() => webhookSecrets(() => value), MissingConfigurationError);
    assertEquals(error.variable, "MAILERLITE_WEBHOOK_SECRET");
  }
});

Deno.test("isSigned() agrees with a published vector (RFC 4231, test case 2)", async () => {
  const signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  const body = bodyOf("what do ya want for nothing?");
  assert(await isSigned(["Jefe"], signature, body));
  assert(await isSigned(["another", "Jefe", "third"], signature, body));
  assertFalse(await isSigned(["another", "jefe"], signature, body));
  assertFalse(await isSigned([], signature, body));
});

Deno.test("isSigned() refuses everything that is not the whole signature to the letter", async () => {
  const body = bodyOf('{"event":"subscriber.created"}');
  const right = await hmacSha256Hex("abcdefghij", '{"event":"subscriber.created"}');
  assert(await isSigned(["abcdefghij"], right, body));
  const wrong = [
    "",
    " ",
    right.slice(0, -1),
    right.slice(0, 32),
    right.slice(1),
    `${right}0`,
    `${right}${right}`,
    `${right}, ${right}`,
    `sha256=${right}`,
    right.toUpperCase(),
    [...right].reverse().join(""),
    "0".repeat(64),
    await hmacSha256Hex("abcdefghi", '{"event":"subscriber.created"}'),
    await hmacSha256Hex("abcdefghij", '{"event":"subscriber.created" }'),
  ];
  for (const signature of wrong) {
    assertFalse(await isSigned(["abcdefghij"], signature, body), signature);
  }
});

Deno.test("isSigned() takes what was signed with any of the secrets", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(secret, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      text,
      async (secrets, which, body) => {
        const chosen = secrets[which % secrets.length] ?? "";
        assert(await isSigned(secrets, await hmacSha256Hex(chosen, body), bodyOf(body)));
      },
    ),
  );
});

Deno.test("isSigned() refuses a body of which one byte is changed, added or missing", async () => {
  await fc.assert(
    fc.asyncProperty(
      secret,
      text,
      fc.constantFrom("change", "add", "drop"),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (secret, text, how, where, byte) => {
        const signature = await hmacSha256Hex(secret, text);
        const bytes = [...new TextEncoder().encode(text)];
        const at = where % (bytes.length + 1);
        const before = bytes[at];
        if (how === "add" || before === undefined) bytes.splice(at, 0, byte);
        else if (how === "drop") bytes.splice(at, 1);
        else bytes[at] = before ^ byte;
        assertFalse(await isSigned([secret], signature, bufferOf(bytes)));
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("isSigned() refuses a signature of which one character differs", async () => {
  await fc.assert(
    fc.asyncProperty(
      secret,
      text,
      fc.nat({ max: 63 }),
      fc.stringMatching(/^[0-9a-f]$/),
      async (secret, text, at, letter) => {
        const right = await hmacSha256Hex(secret, text);
        const tampered = right.slice(0, at) + letter + right.slice(at + 1);
        assertEquals(await isSigned([secret], tampered, bodyOf(text)), tampered === right);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("isSigned() refuses what was signed with a secret that is not among them", async () => {
  await fc.assert(
    fc.asyncProperty(secret, secret, text, async (ours, theirs, text) => {
      fc.pre(ours !== theirs);
      assertFalse(await isSigned([ours], await hmacSha256Hex(theirs, text), bodyOf(text)));
    }),
  );
});
