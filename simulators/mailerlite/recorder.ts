import type { HistoryEntry, Via } from "./types.ts";

/** Requests answered so far. */
export interface RequestReport {
  total: number;
  /** By `METHOD /template`, batch items not included. */
  byRoute: Record<string, number>;
  /** Items inside batches, by `METHOD /template`. */
  batchItems: Record<string, number>;
  /** By status code; `reset` and `truncated` for answers that were cut. */
  byStatus: Record<string, number>;
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Remembers which requests came and which writes took place: kinds and ids, no personal data. */
export class Recorder {
  #routes = new Map<string, number>();
  #items = new Map<string, number>();
  #statuses = new Map<string, number>();
  #history: HistoryEntry[] = [];
  #seq = 0;
  #changes = 0;

  /** Rises with every change of people, groups and fields, however it came about. */
  get changes(): number {
    return this.#changes;
  }

  /** Counts something that was seeded, which leaves no history. */
  seeded(): void {
    this.#changes++;
  }

  request(route: string): void {
    bump(this.#routes, route);
  }

  batchItem(route: string): void {
    bump(this.#items, route);
  }

  status(status: string): void {
    bump(this.#statuses, status);
  }

  write(at: number, kind: string, id: string, via: Via, groupId?: string): void {
    const entry: HistoryEntry = { seq: ++this.#seq, at, kind, id, via };
    if (groupId !== undefined) entry.groupId = groupId;
    if (!kind.startsWith("webhook.")) this.#changes++;
    this.#history.push(entry);
  }

  report(): RequestReport {
    const byRoute = Object.fromEntries(this.#routes);
    const total = Object.values(byRoute).reduce((sum, count) => sum + count, 0);
    return {
      total,
      byRoute,
      batchItems: Object.fromEntries(this.#items),
      byStatus: Object.fromEntries(this.#statuses),
    };
  }

  history(): HistoryEntry[] {
    return this.#history.map((entry) => ({ ...entry }));
  }

  resetRequests(): void {
    this.#routes.clear();
    this.#items.clear();
    this.#statuses.clear();
  }

  resetHistory(): void {
    this.#history = [];
  }
}
