import { assertEquals } from "@std/assert";
import { ControlClient } from "./control_client.ts";

Deno.test("the command prints one line of JSON with the address and ends on SIGTERM", async () => {
  const data = await Deno.makeTempFile({ suffix: ".ndjson" });
  await Deno.writeTextFile(data, '{"group":"VIP"}\n{"email":"a@example.com","groups":["VIP"]}\n');
  const script = new URL("./serve.ts", import.meta.url).pathname;
  const args = [
    "run",
    "-A",
    script,
    "--port",
    "0",
    "--token",
    "t",
    "--no-limits",
    "--data",
    data,
    "--switch",
    "doubleOptIn=on",
  ];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  const { url, api } = JSON.parse(value ?? "") as { url: string; api: string };
  const list = await fetch(`${api}/subscribers?limit=0`, {
    headers: { authorization: "Bearer t" },
  });
  assertEquals(await list.json(), { total: 1 });
  assertEquals((await new ControlClient(url).setSwitches({})).doubleOptIn, "on");
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 0);
  await reader.cancel();
  await Deno.remove(data);
});
