// The coordinator is killed, or stops for a while: another must lead soon, and only one.

import type { MeshScenario, Stage } from "../mesh-scenario.ts";

/** A network with the losses of bad Wi-Fi. */
export const roughNetwork = {
  latencyMs: 2,
  jitterMs: 20,
  lossPerMille: 10,
  duplicatePerMille: 20,
  reorderPerMille: 30,
  lateMs: 300,
} as const;

const size = { hosts: 5, workersPerHost: 1, clocksAheadMsMax: 172_800_000 } as const;

/** The coordinator is killed again and again, and comes back with or without its memory. */
export const leaderDies: MeshScenario = {
  name: "leader-dies",
  size,
  network: roughNetwork,
  troubleMs: 60_000,
  convergeMsMax: 60_000,
  trouble({ world, room, rng, handOver }: Stage) {
    for (let round = 0; round < 3; round += 1) {
      world.after(round * 20_000 + rng.below(5_000), () => {
        const { leader } = room;
        if (leader === undefined) return;
        handOver.expect(leader, 2_000);
        room.crash(leader, 300 + rng.below(12_000), rng.below(2) === 0);
      });
    }
  },
};

/** The coordinator stands still, for a moment or for longer than its links last. */
export const leaderFrozen: MeshScenario = {
  name: "leader-frozen",
  size,
  network: roughNetwork,
  troubleMs: 70_000,
  convergeMsMax: 60_000,
  trouble({ world, room, rng, handOver }: Stage) {
    const frozenMs = 1_000 + rng.below(50_000);
    world.after(rng.below(5_000), () => {
      const { leader } = room;
      if (leader === undefined) return;
      if (frozenMs > 8_000) handOver.expect(leader, 8_000);
      room.freeze(leader, frozenMs);
    });
  },
};
