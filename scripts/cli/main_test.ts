import { assert, assertEquals, assertRejects } from "@std/assert";
import { fakeClient, fakeContext, RUN, statusOf } from "./_test_util.ts";
import { EXIT_CODE } from "./exit_code.ts";
import { main } from "./main.ts";
import { ProjectError } from "./project.ts";
import { LookError, RefusedError } from "./sync_client.ts";

const DONE = statusOf({ status: "completed", currentBatch: 12, phase: "Done" });

Deno.test("main() refuses what it does not know before it asks a project, and shows the usage", async () => {
  const lines = [
    [],
    ["bakfill"],
    ["backfill", "--wat"],
    ["backfill", "now"],
    ["backfill", "--stale-after-days", "soon"],
    ["backfill", "--stale-after-days", "-1"],
    ["backfill", "--stale-after-days", "3651"],
    ["status", "--wait"],
    ["pause", "--force"],
    ["pause", "smart-sync"],
    ["pause", "--direction", "both"],
    ["resume", "enterprise-sync", "--wait"],
    ["run", "everything"],
    ["run", "--allow", "deletes"],
    ["smart"],
    ["verify", "--apply"],
    ["conflicts"],
    ["why"],
    ["why", "a@x.org", "b@x.org"],
    ["undo"],
    ["undo", "12"],
  ];
  for (const args of lines) {
    const context = fakeContext(fakeClient([]));
    const code = await main(args, {
      ...context,
      openClient: () => Promise.reject(new TypeError("No project may be asked for")),
    });
    assertEquals(code, EXIT_CODE.couldNotLook, args.join(" "));
    assertEquals(context.printed, []);
    assert(context.told.join("\n").includes("Usage: deno task sync"), args.join(" "));
  }
});

Deno.test("main() prints the help of the CLI and of each command without a project", async () => {
  const names = "status backfill pause resume run smart verify conflicts why undo webhooks";
  const lines = [["--help"], ...names.split(" ").map((name) => [name, "--help"])];
  for (const args of lines) {
    const context = fakeContext(fakeClient([]));
    const openClient = () => Promise.reject(new TypeError("No project may be asked for"));
    assertEquals(await main(args, { ...context, openClient }), EXIT_CODE.ok);
    assert(context.printed.join("\n").includes("Examples:"), args.join(" "));
    assertEquals(context.told, []);
  }
});

Deno.test("main() sends the options of each command as the function wants them", async () => {
  const cases: [string[], Record<string, unknown>][] = [
    [["backfill"], { autoContinue: true }],
    [["backfill", "--no-link", "--stale-after-days", "0", "--force"], {
      autoContinue: true,
      link: false,
      staleAfterDays: 0,
      force: true,
    }],
    [["pause"], { action: "pause" }],
    [["resume"], { action: "resume", autoContinue: true }],
    [["resume", "--force"], { action: "resume", autoContinue: true, force: true }],
  ];
  for (const [args, body] of cases) {
    const client = fakeClient([DONE]);
    assertEquals(await main(args, fakeContext(client)), EXIT_CODE.ok);
    assertEquals(client.calls, [["backfill-sync", body]]);
  }
});

Deno.test("pause and resume work on the two-way run where it is named", async () => {
  const answer = { message: "Paused", runId: "r", paused: true };
  const paused = fakeClient([], () => answer);
  const context = fakeContext(paused);
  assertEquals(await main(["pause", "enterprise-sync"], context), EXIT_CODE.ok);
  assertEquals(paused.calls, [["enterprise-sync", { action: "pause", direction: "both" }]]);
  assertEquals(context.printed, ["Paused. Run r"]);

  const nothing = { conflictsDetected: 0, updatesApplied: 0, errors: 0, skipped: 0, message: "m" };
  const end = { ...nothing, recordsProcessed: 1, runId: "r", quota: { requests: 0 } };
  const answers = [
    { ...end, done: false, nextCursor: "c", stopReason: "time_limit" },
    { ...end, done: true, nextCursor: null, stopReason: "complete" },
  ];
  const resumed = fakeClient([], () => answers.shift());
  const line = ["resume", "enterprise-sync", "--json"];
  assertEquals(await main(line, fakeContext(resumed)), EXIT_CODE.ok);
  // Paused again meanwhile, it stays so: only the first call resumes.
  assertEquals(resumed.calls.map(([, body]) => [body["action"], body["cursor"]]), [
    ["resume", undefined],
    [undefined, "c"],
  ]);
});

Deno.test("backfill --wait exits with 0 only when the run completed", async () => {
  const cases = [
    [DONE, EXIT_CODE.ok],
    [
      statusOf({ status: "failed", phase: "Failed: the remote refused the key" }),
      EXIT_CODE.failedRun,
    ],
    [statusOf({ status: "paused", phase: "Paused" }), EXIT_CODE.failedRun],
  ] as const;
  for (const [last, expected] of cases) {
    const context = fakeContext(fakeClient([statusOf(), statusOf({ currentBatch: 7 }), last]));
    assertEquals(await main(["backfill", "--wait"], context), expected);
    assertEquals(context.told.length, expected === EXIT_CODE.ok ? 0 : 1);
    if (expected !== EXIT_CODE.ok) assert(context.told[0]?.endsWith(last.phase));
    assert(context.drawn.at(-1)?.includes(last.phase));
  }
});

Deno.test("backfill --wait gives up on a run that gives no sign", async () => {
  const context = fakeContext(fakeClient([statusOf()]));
  assertEquals(await main(["backfill", "--wait"], context), EXIT_CODE.failedRun);
  assert(context.told[0]?.includes("--force"));
});

Deno.test("--json prints one line of JSON and no progress", async () => {
  const context = fakeContext(fakeClient([statusOf(), DONE]));
  assertEquals(await main(["backfill", "--wait", "--json"], context), EXIT_CODE.ok);
  assertEquals(context.drawn, []);
  assertEquals(context.printed.map((line) => JSON.parse(line)), [
    { outcome: "completed", status: DONE, run: RUN },
  ]);
  const looked = fakeContext(fakeClient([DONE]));
  assertEquals(await main(["status", "--json"], looked), EXIT_CODE.ok);
  assertEquals(JSON.parse(looked.printed.join()), { syncStatus: { backfill: DONE }, run: RUN });
});

Deno.test("status exits with 1 after a failed run, and tells of a project without any", async () => {
  const failed = fakeContext(fakeClient([statusOf({ status: "failed" })]));
  assertEquals(await main(["status"], failed), EXIT_CODE.failedRun);
  assert(failed.printed.join("\n").includes("24,222"));
  const none = fakeContext(
    fakeClient([statusOf({ status: "paused", phase: "Never run" })], () => {
      throw new RefusedError("Cannot find a run for this", "no_run", null);
    }),
  );
  assertEquals(await main(["status"], none), EXIT_CODE.ok);
  assertEquals(none.printed, ["Backfill: never run. Never run"]);
});

Deno.test("main() exits with 2 and the reason when a project refuses, is silent or not known", async () => {
  const failures: [Error, string][] = [
    [new RefusedError("Cannot start: a run is at work", "already_running", "Watch it"), "Watch it"],
    [new LookError("Cannot reach it"), "Cannot reach it"],
    [new ProjectError("Cannot tell the project"), "Cannot tell the project"],
  ];
  for (const [failure, words] of failures) {
    const context = fakeContext(fakeClient([statusOf()], () => {
      throw failure;
    }));
    assertEquals(await main(["backfill"], context), EXIT_CODE.couldNotLook);
    assert(context.told.includes(words));
  }
});

Deno.test("main() does not take a fault of its own for an answer", async () => {
  const context = fakeContext(fakeClient([statusOf()], () => {
    throw new RangeError("A fault");
  }));
  await assertRejects(() => main(["backfill"], context), RangeError);
});
