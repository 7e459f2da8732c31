/** What pg_net and pg_cron do on a hosted project: smart-sync is called when there is work for it. */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";

/** What a listener needs. */
export interface WakeListenerOptions {
  databaseUrl: string;
  /** Calls smart-sync and waits for its answer, unless the signal says that the stack ends. */
  call(signal: AbortSignal): Promise<void>;
  /** How often the queue is looked at for records that became due by themselves, in ms. Default 60000. */
  everyMs?: number;
  /** How often the queue is looked at in the second behind an edit that was told of, in ms. Default 200. */
  againMs?: number;
}

// By then the second is over in which the database tells of no other edit.
const LOOKS = 6;

const DUE = "select exists (select 1 from public.sync_queue where not_before <= now()) as due";

/**
 * Listens for edits of side A, and looks at the queue at once and every minute. There is one call at
 * a time at most, and one more after it if something came meanwhile.
 *
 * The database tells of one edit a second; those behind it are found by looks until the second is over.
 */
export async function listenForWork(options: WakeListenerOptions): Promise<AsyncDisposable> {
  const { databaseUrl, call, everyMs = 60_000, againMs = 200 } = options;
  const end = new AbortController();
  let isWanted = false;
  let working: Promise<void> | undefined;

  const work = async () => {
    while (isWanted && !end.signal.aborted) {
      isWanted = false;
      // What failed is in the function's log, and its records stay in the queue.
      await call(end.signal).catch(() => {});
    }
    working = undefined;
  };
  const wake = () => {
    isWanted = true;
    working ??= work();
  };

  const client = new pg.Client({ connectionString: databaseUrl });
  // The connection ends with the database, and then the stack does.
  client.on("error", () => {});
  const look = async () => {
    const { rows } = await client.query<{ due: boolean }>(DUE);
    if (rows[0]?.due === true) wake();
  };
  let again: ReturnType<typeof setInterval> | undefined;
  let looks = 0;
  client.on("notification", () => {
    wake();
    looks = LOOKS;
    again ??= setInterval(() => {
      if (--looks <= 0) {
        clearInterval(again);
        again = undefined;
      }
      look().catch(() => {});
    }, againMs);
  });
  await client.connect();
  await client.query("listen sync_wake");
  await look();
  const timer = setInterval(() => look().catch(() => {}), everyMs);

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      clearInterval(again);
      end.abort();
      await working;
      await client.end();
    },
  };
}
