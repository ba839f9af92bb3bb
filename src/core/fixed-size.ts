// The policy of those who want none: as many machines as the minimum says.

import type { ScaledMachine, ScalingDecision, ScalingPolicy } from "./scaling.ts";

/** Keeps `min` machines; further ones go once they are idle. */
export const fixedSize: ScalingPolicy = {
  name: "fixed",
  decide: ({ machines }, { min }): ScalingDecision => {
    const supply = machines.filter(({ state }) => state !== "draining");
    const paused = machines.filter(({ state }) => state === "draining");
    const kept = paused.slice(0, Math.max(0, min - supply.length));
    const missing = Math.max(0, min - supply.length - kept.length);
    const surplus = Math.max(0, supply.length - min);
    const idle = supply.filter(isRemovable).slice(0, surplus);
    const slots = supply.reduce((sum, machine) => sum + machine.slots, 0);
    const busy = supply.reduce((sum, machine) => sum + machine.busySlots, 0);
    const load = slots === 0 ? 0 : busy / slots;
    const change = missing > 0 ? missing : -idle.length;
    return {
      target: min,
      launch: { "on-demand": missing, spot: 0 },
      drain: idle.map(({ id }) => id),
      keep: kept.map(({ id }) => id),
      next: change === 0 ? undefined : { change, inMs: 0 },
      because: `${min} are to be kept`,
      heldBack: undefined,
      needs: { now: busy, build: 0, trend: 0, floor: 0 },
      load,
      predictedLoad: load,
      horizonMs: 0,
      trendPerMinute: 0,
      forecastError: undefined,
    };
  },
};

function isRemovable({ state, busySlots }: ScaledMachine): boolean {
  return state === "ready" && busySlots === 0;
}
