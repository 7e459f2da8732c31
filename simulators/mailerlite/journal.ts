/** One line of a subscriber's activity log. */
export interface ActivityEntry {
  readonly id: number;
  readonly name: string;
  readonly subscriberId: string;
  /** Seconds since 1970. */
  readonly at: number;
}

/** What outlives a request: activity of subscribers and erasures that are due later. */
export class Journal {
  #activity: ActivityEntry[] = [];
  #erasures = new Map<string, number>();

  log(name: string, subscriberId: string, at: number): void {
    this.#activity.push({ id: this.#activity.length + 1, name, subscriberId, at });
  }

  /** A subscriber's lines, newest first. */
  activityOf(subscriberId: string): ActivityEntry[] {
    return this.#activity.filter((entry) => entry.subscriberId === subscriberId).reverse();
  }

  /** Notes that a row is to be erased at `at` (seconds since 1970). */
  eraseLater(subscriberId: string, at: number): void {
    this.#erasures.set(subscriberId, at);
  }

  /** Takes out the ids whose erasure is due. */
  dueErasures(nowSeconds: number): string[] {
    if (this.#erasures.size === 0) return [];
    const due = [...this.#erasures].filter(([, at]) => at <= nowSeconds).map(([id]) => id);
    for (const id of due) this.#erasures.delete(id);
    return due;
  }
}
