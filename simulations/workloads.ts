// Synthetic builds: several invocations that each keep a number of actions in flight.
//
// Durations are whole numbers from products of dice: like real builds, most actions are short and a
// few are very long, and actions of a kind resemble each other.

import type { ActionRequest } from "../src/core/action.ts";
import type { Digest } from "../src/core/digest.ts";
import type { Rng } from "../src/core/rng.ts";

/** One Execute call to make. */
export interface Job {
  readonly operation: string;
  readonly request: ActionRequest;
}

/** One client with its list of calls. */
export interface Invocation {
  readonly name: string;
  readonly startMs: number;
  /** Calls it keeps open at once. */
  readonly jobs: number;
  readonly calls: readonly Job[];
}

/** Everything clients want in one run. */
export interface Workload {
  readonly invocations: readonly Invocation[];
  /** How long each action runs on a machine of normal speed, by its hash. */
  readonly durationMsByAction: ReadonlyMap<string, number>;
}

/** The size and the mixture of a synthetic workload. */
export interface WorkloadOptions {
  readonly actions: number;
  readonly invocations: number;
  readonly jobs: number;
  readonly kinds: number;
  /** Calls that ask for an action another call asked for before, per thousand. */
  readonly repeatPerMille: number;
  /** Run times in ms of the first, second, … action in place of drawn ones. */
  readonly durationsMs?: readonly number[];
  /** Invocations start within this many ms. */
  readonly startMsMax: number;
}

/** Draws a workload. */
export function syntheticWorkload(options: WorkloadOptions, rng: Rng): Workload {
  const durationMsByAction = new Map<string, number>();
  const scaleByKind = Array.from({ length: options.kinds }, () => 2 ** sumOfDice(rng, 4, 3));
  const actions: ActionRequest[] = [];
  const callsByInvocation = Array.from({ length: options.invocations }, (): Job[] => []);
  for (let number = 0; number < options.actions; number += 1) {
    const invocation = rng.below(options.invocations);
    const repeats = actions.length > 0 && rng.below(1000) < options.repeatPerMille;
    const old = repeats ? actions[Math.max(0, actions.length - 1 - rng.below(50))] : undefined;
    const request = { ...(old ?? draw(number, options.kinds, rng)), invocation: `i${invocation}` };
    if (old === undefined) {
      const scale = scaleByKind[Number(request.kind.slice(1))] ?? 1;
      const drawnMs = (20 + rng.below(80)) * scale;
      durationMsByAction.set(request.action.hash, options.durationsMs?.[number] ?? drawnMs);
      actions.push(request);
    }
    callsByInvocation[invocation]?.push({ operation: `o${number}`, request });
  }
  const invocations = callsByInvocation.map((calls, index) => {
    const startMs = index === 0 ? 0 : rng.below(options.startMsMax + 1);
    return { name: `i${index}`, startMs, jobs: options.jobs, calls };
  });
  return { invocations, durationMsByAction };
}

function draw(number: number, kinds: number, rng: Rng): ActionRequest {
  return {
    action: digest(number + 1),
    instance: "",
    priority: rng.below(10) === 0 ? rng.below(3) - 1 : 0,
    user: "simulated",
    invocation: "",
    kind: `k${rng.below(kinds)}`,
    inputRoot: digest(1_000_000 + rng.below(200)),
    properties: {},
    mayMerge: rng.below(20) > 0,
    skipCacheLookup: false,
  };
}

function digest(number: number): Digest {
  return { fn: "sha256", hash: number.toString(16).padStart(64, "0"), sizeBytes: 100 };
}

function sumOfDice(rng: Rng, dice: number, sides: number): number {
  let sum = 0;
  for (let i = 0; i < dice; i += 1) sum += rng.below(sides);
  return sum;
}
