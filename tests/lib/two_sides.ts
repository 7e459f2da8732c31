import type { Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord, PairRules } from "../../shared/merge/pair.ts";
import { planRecord } from "../../shared/merge/plan_record.ts";
import type {
  Base,
  Decision,
  FieldChange,
  Flow,
  RecordPlan,
  RecordState,
} from "../../shared/merge/record_plan.ts";
import { shadowAfter } from "../../shared/merge/shadow_after.ts";

/** How a run of {@linkcode TwoSides} goes. */
export interface RunOptions {
  readonly flow?: Flow;
  /** Whether what is planned for side A gets written. */
  readonly local?: boolean;
  /** Whether what is planned for the remote gets written; `silent`: it is, and no record is answered. */
  readonly remote?: "done" | "not_done" | "silent";
  /** What happens after both sides were read and before either is written. */
  readonly meanwhile?: (sides: TwoSides) => void;
}

/** A remote that keeps a form of its own of some values, and refuses some names. */
export interface OwnForm {
  readonly values: Readonly<Record<string, string>>;
  readonly refused: readonly string[];
}

/** One linked record on both sides with its base, to carry plans out on. */
export class TwoSides {
  readonly rules: PairRules;
  a: CanonicalRecord;
  b: CanonicalRecord;
  base: Base | null;
  decisions: readonly Decision[];
  localClean = false;
  readonly refusals: RecordState["localRefusals"];
  readonly keySuppressed: boolean;
  readonly #form: OwnForm;

  constructor(
    rules: PairRules,
    state: RecordState,
    form: OwnForm = { values: {}, refused: [] },
  ) {
    this.rules = rules;
    this.a = { ...state.a };
    this.b = { ...state.b };
    this.base = state.base;
    this.decisions = state.decisions;
    this.refusals = state.localRefusals;
    this.keySuppressed = state.keySuppressed === true;
    this.#form = form;
  }

  /** Reads both sides. */
  state(): RecordState {
    const { base, decisions, refusals, keySuppressed } = this;
    return {
      base,
      a: { ...this.a },
      b: { ...this.b },
      decisions,
      localRefusals: refusals,
      keySuppressed,
    };
  }

  /** What the next run would do. */
  plan(flow: Flow = "both"): RecordPlan {
    return planRecord(this.rules, this.state(), flow);
  }

  /** Reads, plans, writes and stores the next base. */
  run(options: RunOptions = {}): RecordPlan {
    const { flow = "both", local = true, remote = "done", meanwhile } = options;
    const state = this.state();
    const plan = planRecord(this.rules, state, flow);
    meanwhile?.(this);
    for (const change of plan.changes) {
      if (change.side === "local" ? local : remote !== "not_done") this.#write(change);
    }
    const next = shadowAfter(this.rules, state, plan, {
      local,
      remote: remote === "done" ? { ...this.b } : remote === "silent" ? null : remote,
    });
    this.base = { a: next.a, b: next.b, settled: next.settled };
    this.localClean = next.localClean;
    const isWhole = local && remote !== "not_done";
    const gone = new Set([...(isWhole ? plan.decided : []), ...plan.staleDecisions]);
    this.decisions = this.decisions.filter(({ conflictId }) => !gone.has(conflictId));
    return plan;
  }

  #write({ field, side, before, after }: FieldChange): void {
    const record = side === "local" ? this.a : this.b;
    if (!Array.isArray(after)) {
      record[field] = side === "remote" ? this.#remoteForm(after) : after;
      return;
    }
    // Only the names that differ are sent, onto whatever the side holds by now.
    const now = record[field];
    const names = new Set(Array.isArray(now) ? now : []);
    const held = Array.isArray(before) ? before : [];
    for (const name of held) if (!after.includes(name)) names.delete(name);
    for (const name of after) {
      const isRefused = side === "remote" && this.#form.refused.some((word) => word === name);
      if (!held.includes(name) && !isRefused) names.add(name);
    }
    const rule = this.rules.fields[field];
    record[field] = rule?.kind === "set" ? rule.managed.filter((name) => names.has(name)) : [];
  }

  #remoteForm(value: Json): Json {
    return typeof value === "string" ? this.#form.values[value] ?? value : value;
  }
}
