/** Who may ask smart-sync for what. */
import { assertEquals } from "@std/assert";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { smartSync } from "../shared/http/smart_sync.ts";
import { address, equalPeople, twoWayWorld } from "./lib/two_way_world.ts";

Deno.test("a viewer may only dry-run, an operator may sync, nobody else may do either", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const key = { ...await exportJWK(publicKey), kid: "test", alg: "ES256", use: "sig" };
  Deno.env.set("SUPABASE_JWKS", JSON.stringify({ keys: [key] }));
  const handle = smartSync(
    world.config,
    world.harness.runtime({ sleep: () => new Promise(() => {}) }),
  );
  const ask = async (role: string | null, body: unknown) => {
    const token = await new SignJWT({
      role: "authenticated",
      ...(role === null ? {} : { app_metadata: { sync_role: role } }),
    })
      .setProtectedHeader({ alg: "ES256", kid: "test" })
      .setSubject("00000000-0000-4000-8000-000000000001").setAudience("authenticated")
      .setIssuer("http://project.test/auth/v1").setIssuedAt().setExpirationTime("1 minute")
      .sign(privateKey);
    const response = await handle(
      new Request("http://project.test/functions/v1/smart-sync", {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    );
    const { code } = await response.json();
    return [response.status, code];
  };
  await world.editClient(1, { first_name: "Bea" });
  const emails = [address(1)];
  for (
    const body of [{ emails, dryRun: true }, { dryRun: true }, {
      emails,
      repair: true,
      dryRun: true,
    }]
  ) {
    assertEquals(await ask("viewer", body), [200, undefined]);
  }
  for (const body of [{ emails }, {}, { mode: "full" }, { emails, repair: true }]) {
    assertEquals(await ask("viewer", body), [403, "forbidden"]);
    assertEquals(await ask(null, body), [403, "forbidden"]);
  }
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  assertEquals(await ask("operator", { emails }), [200, undefined]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  const asked = await world.pool.query(
    `select distinct requested_by from public.sync_runs where function = 'smart-sync'`,
  );
  assertEquals(asked, [{ requested_by: "user:00000000-0000-4000-8000-000000000001" }]);
});
