import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { testContext } from "./_test_util.ts";
import { type ApiRequest, MailerLiteClient } from "./client.ts";

const UPSERT: ApiRequest = {
  method: "POST",
  route: "/subscribers",
  path: "/subscribers",
  body: { email: "a@b.test" },
  repeatable: false,
};

const head = (length: number) =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

/** What a raw server does with the n-th request of all, from 1. */
type Reply = (request: number) => string | "reset";

/** A server that can cut connections, and a client that talks to it through the runtime's own fetch. */
async function withSocket(
  reply: Reply,
  run: (client: MailerLiteClient, requests: () => number) => Promise<void>,
) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let requests = 0;
  const serve = async (connection: Deno.Conn) => {
    open.add(connection);
    const buffer = new Uint8Array(65_536);
    try {
      while (await connection.read(buffer) !== null) {
        const answer = reply(++requests);
        if (answer === "reset") break;
        await connection.write(new TextEncoder().encode(answer));
        // Less than was promised: the body breaks off.
        if (!answer.endsWith("}")) break;
      }
    } catch {
      // The client hung up first.
    }
    if (open.delete(connection)) connection.close();
  };
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) serving.push(serve(connection));
  })();
  const http = Deno.createHttpClient({});
  const env: Record<string, string> = {
    MAILERLITE_API_KEY: "test-token",
    MAILERLITE_API_URL: `http://127.0.0.1:${listener.addr.port}/api`,
  };
  const { timeout: _, ...context } = testContext(() => new Error("unused"));
  try {
    const client = new MailerLiteClient({
      ...context,
      env: (name) => env[name],
      fetch: (input, init) => fetch(input, { ...init, client: http }),
    });
    await run(client, () => requests);
  } finally {
    http.close();
    listener.close();
    for (const connection of open) {
      open.delete(connection);
      connection.close();
    }
    await Promise.all([accepting, ...serving]);
  }
}

const whole = `${head(2)}{}`;

Deno.test("over a socket, a body that breaks off is no answer", async () => {
  await withSocket(
    (request) => request === 1 ? `${head(500)}{"data":[` : whole,
    async (client, requests) => {
      const error = await assertRejects(
        () => client.send(UPSERT),
        RemoteError,
      );
      assertEquals(error.kind, "unknown_outcome");
      assertEquals(requests(), 1);
      const answer = await client.send({ ...UPSERT, repeatable: true });
      assertEquals(answer.body, {});
    },
  );
});

Deno.test("over a socket, a connection that is cut leaves a write in doubt", async () => {
  await withSocket(
    (request) => request === 1 ? whole : "reset",
    async (client, requests) => {
      await client.send(UPSERT);
      const error = await assertRejects(
        () => client.send(UPSERT),
        RemoteError,
      );
      assertEquals(
        [error.kind, error.code],
        ["unknown_outcome", "remote_unreachable"],
      );
      // The runtime's own repeat on a connection that was used before, if it
      // makes one: this client adds none.
      assertEquals(requests() <= 3, true);
    },
  );
});

Deno.test("over a socket, an answer leaves no timer behind", async () => {
  await withSocket(() => whole, async (client) => {
    assertEquals((await client.send(UPSERT)).body, {});
  });
});
