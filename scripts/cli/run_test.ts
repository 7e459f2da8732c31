import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./command.ts";
import { allowCommand, readRunSettings } from "./run.ts";
import { summarisePlan } from "./run_report.ts";
import { runProgress, whileWatching } from "./run_watch.ts";

Deno.test("readRunSettings() takes limits to lift as a list, and only with a reason", () => {
  const { allow, reason } = readRunSettings([
    ..."--allow deletes,blanks --allow blanks --reason".split(" "),
    " list cleaned ",
  ]);
  assertEquals([allow, reason], [["deletes", "blanks"], "list cleaned"]);
  const wrong = [
    ["--allow", "deletes"],
    ["--allow", "deletes", "--reason", "  "],
    ["--reason", "because"],
    ["--allow", "everything", "--reason", "r"],
    ["--allow", "deletes", "--reason", "r".repeat(501)],
    ["--max", "0"],
    ["--max", "many"],
    ["ann@example.com"],
  ];
  for (const args of wrong) assertThrows(() => readRunSettings(args), UsageError);
});

Deno.test("allowCommand() names the limit that stopped the run and those lifted already", () => {
  const message =
    "Cannot go on: 34 unsubscribes were planned for 100 linked records, and the limit is 5";
  assertEquals(
    allowCommand(readRunSettings([]), message),
    `deno task sync run --allow unsubscribes --reason "why this is right"`,
  );
  const settings = readRunSettings([
    ..."--direction x-to-supabase --allow blanks --reason r".split(" "),
  ]);
  assertEquals(
    allowCommand(settings, message),
    `deno task sync run --direction x-to-supabase --allow blanks,unsubscribes --reason "why this is right"`,
  );
});

Deno.test("summarisePlan() counts kinds of operations, the most frequent first, and names no record", () => {
  const nothing = { operations: [], conflicts: [], kept: [] };
  const merge = { ...nothing, aId: "a", bId: "b", found: "pair", do: "merge" };
  const operations = [{ field: "city", side: "supabase", rule: "edit" }];
  assertEquals(
    summarisePlan([
      { ...merge, conflicts: [{ field: "email", reason: "both_changed" }] },
      { ...merge, operations },
      { ...merge, operations },
      { ...merge, found: "match" },
      { ...nothing, aId: null, bId: "b", found: "new_remote", do: "create_local" },
      { ...nothing, aId: "a", bId: "b", found: "absent_remote", do: "mark", gone: "remote" },
      { ...nothing, aId: "a", bId: null, found: "held", do: "leave", reason: "duplicate_key" },
    ]),
    [
      ["set city at supabase (edit)", 2],
      ["conflict on email (both_changed)", 1],
      ["link two records that are equal", 1],
      ["create local", 1],
      ["mark what is gone from the remote", 1],
      ["leave (duplicate_key)", 1],
    ],
  );
});

const ROW = {
  id: "r",
  status: "running",
  phase: "Syncing",
  current_batch: 50,
  total_batches: 200,
  errors: 1,
  counters: { updates: 7, conflicts: 2 },
};

Deno.test("runProgress() shows the share of records, and none while they are not counted yet", () => {
  assertEquals(runProgress(ROW).share, 0.25);
  assertEquals(runProgress(ROW).parts, ["record 50/200", "7 written", "2 conflicts", "1 error"]);
  assertEquals(runProgress({ ...ROW, total_batches: 0 }).share, 0);
});

Deno.test("whileWatching() looks until the work is over, and a look that fails harms nothing", async () => {
  const work = Promise.withResolvers<string>();
  let looks = 0;
  const shown: string[] = [];
  const result = whileWatching({
    read: () => {
      looks++;
      if (looks === 1) return Promise.reject(new Error("No answer"));
      if (looks === 3) work.resolve("done");
      return Promise.resolve(ROW);
    },
    sleep: () => Promise.resolve(),
    onRun: ({ phase }) => void shown.push(phase),
  }, work.promise);
  assertEquals(await result, "done");
  assertEquals(shown[0], "Syncing");
});
