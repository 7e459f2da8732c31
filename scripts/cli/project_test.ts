import { assertEquals, assertRejects } from "@std/assert";
import { findProject, LOCAL_URL, ProjectError } from "./project.ts";

const KEYS = JSON.stringify({ publishable: "p", secret: { default: "local", cron: "c" } });

function find(env: Record<string, string>, keys: string | undefined) {
  return findProject((name) => env[name], () => Promise.resolve(keys));
}

Deno.test("findProject() takes the environment before the local stack", async () => {
  const env = { SUPABASE_URL: "https://ref.supabase.co", SUPABASE_SECRET_KEY: "remote" };
  assertEquals(await find(env, KEYS), { url: env.SUPABASE_URL, secretKey: "remote" });
  assertEquals(await find({}, KEYS), { url: LOCAL_URL, secretKey: "local" });
  const moved = { SUPABASE_URL: "http://localhost:5000" };
  assertEquals(await find(moved, KEYS), { url: moved.SUPABASE_URL, secretKey: "local" });
});

Deno.test("findProject() never sends a key where it does not belong", async () => {
  const cases: [Record<string, string>, string | undefined][] = [
    // The local stack's key to a hosted project.
    [{ SUPABASE_URL: "https://ref.supabase.co" }, KEYS],
    // A hosted project's key to this machine.
    [{ SUPABASE_SECRET_KEY: "remote" }, KEYS],
    [{ SUPABASE_URL: "ref.supabase.co", SUPABASE_SECRET_KEY: "remote" }, KEYS],
    [{}, undefined],
    [{}, "{"],
    [{}, "{}"],
  ];
  for (const [env, keys] of cases) await assertRejects(() => find(env, keys), ProjectError);
});
