// The one door between the world and a node's decisions: one input at a time goes into the core,
// its effects come out and are performed. `perform` never re-enters the core: what it causes comes
// back as a later input.

import type { Effect, Input, Machine } from "../core/machine.ts";

/** Feeds one machine. */
export interface Pump {
  /** Queues an input; it is handled before control returns, or after the one in progress. */
  push(input: Input): void;
  /** Begins: inputs until now have waited, for who performs effects must be put together. */
  begin(): void;
  /** Stops timers; later inputs are dropped. */
  stop(): void;
}

/** Longest delay a Node timer takes (2^31-1 ms); later wake-ups are re-armed. */
const timerMsMax = 2_147_483_647;

/** Starts pumping. `now` is Unix ms; `perform` must not throw (it reports trouble as inputs). */
export function startPump(
  machine: Machine,
  perform: (effect: Effect) => void,
  now: () => number,
): Pump {
  const inputs: Input[] = [];
  let timer: NodeJS.Timeout | undefined;
  let busy = true;
  let stopped = false;

  function drainInputs(): void {
    busy = true;
    try {
      for (let input = inputs.shift(); input !== undefined; input = inputs.shift()) {
        for (const effect of machine.handle(input, now())) perform(effect);
      }
    } finally {
      busy = false;
    }
    arm();
  }

  function arm(): void {
    clearTimeout(timer);
    if (stopped || machine.wakeAtMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(0, machine.wakeAtMs - now()), timerMsMax);
    timer = setTimeout(() => push({ kind: "wake" }), delayMs);
  }

  function push(input: Input): void {
    if (stopped) return;
    inputs.push(input);
    if (!busy) drainInputs();
  }

  return {
    push,
    begin: drainInputs,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
