import { seededRandom } from "../lib/seeded_random.ts";

/** All chance of a simulation, from one seed. */
export class Dice {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** A whole number from `from` up to and including `to`. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  /** One of a list; undefined of an empty one. */
  one<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)];
  }

  /** One of a list that is not empty. */
  of<Item>(first: Item, ...others: readonly Item[]): Item {
    return this.one([first, ...others]) ?? first;
  }

  /** The name of one of several things, by their weights. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name | undefined {
    let left = this.random() * Object.values<number>(weights).reduce((sum, n) => sum + n, 0);
    for (const name in weights) {
      left -= weights[name];
      if (left < 0) return name;
    }
    return undefined;
  }

  /** A random id in the form of a random one. */
  uuid(): `${string}-${string}-${string}-${string}-${string}` {
    const hex = (length: number) =>
      Array.from({ length }, () => this.whole(0, 15).toString(16)).join("");
    return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`;
  }
}
