// Where the time of a build went, as the nodes saw it that accepted its actions: sums, what ran at
// once, and the chain of waits. Pure; all times are ms since the build began.

/** An action that ran or runs, as its node tells of it: ages, in ms before now. */
export interface TimedAction {
  readonly action: string;
  readonly kind: string;
  readonly worker: string;
  readonly state: string;
  readonly stolen: boolean;
  /** Since it was accepted, and since it ended; 0 while it runs. */
  readonly ageMs: number;
  readonly endedMs: number;
  /** Until its last attempt began, and the phases of that. */
  readonly waitMs: number;
  readonly fetchMs: number;
  readonly setUpMs: number;
  readonly runMs: number;
  readonly storeMs: number;
}

/** The same in the time of its build. */
export interface Placed {
  readonly of: TimedAction;
  readonly acceptedMs: number;
  /** When a worker got it. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Places actions in the time since `beganMs` before now; the last to end is last. */
export function placed(actions: readonly TimedAction[], beganMs: number): Placed[] {
  return actions
    .map((of): Placed => {
      const acceptedMs = beganMs - of.ageMs;
      const toMs = Math.max(acceptedMs, beganMs - of.endedMs);
      return { of, acceptedMs, fromMs: Math.min(toMs, acceptedMs + of.waitMs), toMs };
    })
    .sort((a, b) => a.toMs - b.toMs || b.acceptedMs - a.acceptedMs);
}

/** Sums of all phases; `returnMs` is what is none of them. */
export function phaseSums(all: readonly Placed[]) {
  const sums = { waitMs: 0, fetchMs: 0, setUpMs: 0, runMs: 0, storeMs: 0, returnMs: 0 };
  for (const { of, acceptedMs, fromMs, toMs } of all) {
    sums.waitMs += fromMs - acceptedMs;
    sums.fetchMs += of.fetchMs;
    sums.setUpMs += of.setUpMs;
    sums.runMs += of.runMs;
    sums.storeMs += of.storeMs;
    const told = of.fetchMs + of.setUpMs + of.runMs + of.storeMs;
    sums.returnMs += Math.max(0, toMs - fromMs - told);
  }
  return sums;
}

/** How many commands ran at once, on average over `wallMs` and at most. */
export function atOnce(all: readonly Placed[], wallMs: number) {
  const changes = all.flatMap(({ of, fromMs }) => {
    const beginMs = fromMs + of.fetchMs + of.setUpMs;
    return [
      { atMs: beginMs, by: 1 },
      { atMs: beginMs + of.runMs, by: -1 },
    ];
  });
  changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let [now, most] = [0, 0];
  for (const { by } of changes) {
    now += by;
    most = Math.max(most, now);
  }
  const ranMs = all.reduce((sum, { of }) => sum + of.runMs, 0);
  return { mean: ranMs / Math.max(1, wallMs), most };
}

/**
 * From what ended last back to what had ended last when that was asked for, and so on: what clients
 * waited for in turn. A node is not told who needs whom; `bldr build --profile` knows. `all` is in
 * the order of `placed`; so is the chain.
 */
export function chainOf(all: readonly Placed[]): Placed[] {
  const chain: Placed[] = [];
  let next = all.length - 1;
  for (let one = all[next]; one !== undefined; one = all[next]) {
    chain.push(one);
    next = lastUntil(all, one.acceptedMs, next);
  }
  return chain.reverse();
}

/** Place of the last that had ended by `atMs`, before the place `below`; -1 for none. */
function lastUntil(all: readonly Placed[], atMs: number, below: number): number {
  let [low, high] = [0, below];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle]?.toMs ?? Infinity) <= atMs) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
