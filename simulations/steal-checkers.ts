// What work stealing must achieve, watched from outside: work asked of one host soon runs on all,
// and slots hardly idle while something waits.

import type { PeerId } from "../src/core/action.ts";
import type { Checker } from "./checkers.ts";
import type { MachineRoom } from "./machine-room.ts";
import type { World } from "./world.ts";

/** What a scenario with work stealing is held to. */
export interface StealBudget {
  /** When the clients start, in ms: the mesh is linked by then. */
  readonly submitAtMs: number;
  /** Within this many ms from then every slot of the mesh runs something. */
  readonly spreadMs: number;
  /** Slot time that passes idle beside waiting work, per thousand of all slot time. */
  readonly idlePerMilleMax: number;
}

interface Watched {
  readonly world: World;
  readonly room: MachineRoom;
  /** Slots of one worker. */
  readonly slots: number;
  /** Accepted actions that no worker runs. */
  readonly pending: () => number;
}

/** Every slot is busy soon after the work came. */
export function checkSpread(
  { world, room, slots }: Watched,
  { submitAtMs, spreadMs }: StealBudget,
): Checker & { readonly spreadMs: number } {
  let fullAtMs = Number.POSITIVE_INFINITY;
  world.observe({
    onEffect: (_peer, effect, nowMs) => {
      if (effect.kind !== "execute" || fullAtMs !== Number.POSITIVE_INFINITY) return;
      if (room.workers.every((worker) => room.running(worker) === slots)) fullAtMs = nowMs;
    },
  });
  return {
    get spreadMs() {
      return fullAtMs - submitAtMs;
    },
    failures: () =>
      fullAtMs - submitAtMs <= spreadMs
        ? []
        : [`every slot was busy after ${fullAtMs - submitAtMs} ms; the budget is ${spreadMs} ms`],
  };
}

/** Idle slots beside waiting work, over time. */
export function checkIdleShare(
  { world, room, slots, pending }: Watched,
  { submitAtMs, idlePerMilleMax }: StealBudget,
): Checker & { readonly idlePerMille: number } {
  let idleMs = 0;
  let lastMs = submitAtMs;
  let wasIdle = 0;
  world.observe({
    onHandled: (_peer, nowMs) => {
      if (nowMs < submitAtMs) return;
      idleMs += wasIdle * (nowMs - lastMs);
      lastMs = nowMs;
      wasIdle = Math.min(pending(), idleSlots(room, room.workers, slots));
    },
  });
  const perMille = () => {
    const allMs = room.workers.length * slots * Math.max(1, lastMs - submitAtMs);
    return Math.ceil((idleMs * 1000) / allMs);
  };
  return {
    get idlePerMille() {
      return perMille();
    },
    failures: () =>
      perMille() <= idlePerMilleMax
        ? []
        : [`${perMille()} of 1000 ms idled beside work; the budget is ${idlePerMilleMax}`],
  };
}

function idleSlots(room: MachineRoom, workers: readonly PeerId[], slots: number): number {
  return workers.reduce((sum, worker) => sum + slots - room.running(worker), 0);
}
