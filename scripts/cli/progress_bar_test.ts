import { assert, assertEquals } from "@std/assert";
import { statusOf } from "./_test_util.ts";
import { ProgressBar, renderProgress } from "./progress_bar.ts";

Deno.test("renderProgress() shows batches, shadows, errors, time and the phase", () => {
  assertEquals(
    renderProgress(statusOf({ errors: 1 }), 6_400),
    "██████░░░░░░░░░░░░░░░░░░  batch 3/12  1,500 shadows  1 error  6.4 s  Writing snapshots",
  );
});

Deno.test("renderProgress() has an empty bar while the work is not counted, a full one only at the end", () => {
  const filled = (changes: Parameters<typeof statusOf>[0]) =>
    [...renderProgress(statusOf(changes), 0)].filter((c) => c === "█").length;
  assertEquals(filled({ currentBatch: 0, totalBatches: 0 }), 0);
  assertEquals(filled({ currentBatch: 0 }), 0);
  assertEquals(filled({ currentBatch: 12 }), 23);
  assertEquals(filled({ currentBatch: 99 }), 23);
  assertEquals(filled({ status: "completed", currentBatch: 12 }), 24);
  // Nothing to snapshot is done as well.
  assertEquals(filled({ status: "completed", currentBatch: 0, totalBatches: 0 }), 24);
  assertEquals(filled({ status: "failed", currentBatch: 12 }), 23);
  assert(renderProgress(statusOf({ totalBatches: 0 }), 0).includes("/?"));
});

Deno.test("renderProgress() never wraps", () => {
  const status = statusOf({ phase: "Stopped at its CPU limit; the next call goes on from here" });
  for (const columns of [1, 20, 79, 80, 99, 100, 120, 200]) {
    const line = renderProgress(status, 3_600_000, columns);
    assert([...line].length <= columns, `${columns} columns: ${line}`);
    assertEquals(line.endsWith("…"), [...line].length === columns && columns < 140);
  }
});

function recorded(columns: number | undefined) {
  const clock = { now: 0 };
  const written: string[] = [];
  const bar = new ProgressBar({
    write: (text) => void written.push(text),
    columns: () => columns,
    now: () => clock.now,
  });
  return { clock, written, bar };
}

Deno.test("ProgressBar overwrites its line on a terminal, and leaves the last one standing", () => {
  const { written, bar } = recorded(120);
  bar.show(statusOf());
  bar.show(statusOf({ currentBatch: 4 }));
  bar.end();
  bar.end();
  assertEquals(written.length, 3);
  assert(written.slice(0, 2).every((text) => text.startsWith("\r") && !text.includes("\n")));
  assertEquals(written[2], "\n");
});

Deno.test("ProgressBar prints a line every few seconds elsewhere, and when the work turns to something else", () => {
  const { clock, written, bar } = recorded(undefined);
  const show = (now: number, phase: string) => {
    clock.now = now;
    bar.show(statusOf({ phase }));
  };
  show(0, "Reading: 1,000 records so far");
  show(1_000, "Reading: 2,000 records so far");
  assertEquals(written.length, 1);
  show(3_000, "Reading: 3,000 records so far");
  assertEquals(written.length, 2);
  show(3_100, "Writing snapshots");
  assertEquals(written.length, 3);
  bar.end();
  assertEquals(written.length, 3);
  assert(written.every((text) => text.endsWith("\n") && !text.includes("\r")));
});
