import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readCount, runScript, type Script } from "./run_script.ts";

function outputs() {
  const printed: string[] = [];
  const told: string[] = [];
  const output = {
    print: (text: string) => void printed.push(text),
    tell: (text: string) => void told.push(text),
  };
  return { output, printed, told };
}

const script: Script<readonly string[]> = {
  usage: "Usage",
  read(args) {
    if (args.includes("--what")) throw new TypeError("Cannot read --what");
    return args.includes("--help") ? undefined : args;
  },
  run: (settings) => Promise.resolve(settings.length),
};

Deno.test("runScript() exits as the script does and says nothing of its own", async () => {
  const { output, printed, told } = outputs();
  assertEquals(await runScript(script, ["a", "b", "c"], output), 3);
  assertEquals([printed, told], [[], []]);
});

Deno.test("runScript() prints the usage where it is asked for and exits well", async () => {
  const { output, printed, told } = outputs();
  assertEquals(await runScript(script, ["--help"], output), 0);
  assertEquals([printed, told], [["Usage"], []]);
});

Deno.test("runScript() exits with 2 on a command line it cannot read, and says why", async () => {
  const { output, printed, told } = outputs();
  assertEquals(await runScript(script, ["--what"], output), 2);
  assertEquals([printed, told], [[], ["Cannot read --what\n\nUsage"]]);
});

Deno.test("runScript() lets through what goes wrong in the script itself", async () => {
  const failing = { ...script, run: () => Promise.reject(new TypeError("Cannot run")) };
  const { output, told } = outputs();
  await assertRejects(() => runScript(failing, [], output), TypeError, "Cannot run");
  assertEquals(told, []);
});

Deno.test("readCount() takes whole numbers from 1 on", () => {
  assertEquals([readCount("--runs", "1"), readCount("--runs", "24222")], [1, 24_222]);
  for (const text of ["0", "-1", "1.5", "1e3", "many", ""]) {
    assertThrows(() => readCount("--runs", text), TypeError, "--runs");
  }
});
