// The mesh falls into two parts, or one part no longer hears the other: each goes on by itself, and
// once they link again there is one coordinator and one view.

import { type MeshScenario, type Stage, someHosts } from "../mesh-scenario.ts";
import { roughNetwork } from "./mesh-leader.ts";

const size = { hosts: 6, workersPerHost: 1, clocksAheadMsMax: 60_000 } as const;

/** Two parts for 5 s to 90 s; each has a coordinator in the end. */
export const partitionHeals: MeshScenario = {
  name: "partition-heals",
  size,
  network: roughNetwork,
  troubleMs: 110_000,
  convergeMsMax: 75_000,
  trouble({ world, room, rng, complain }: Stage) {
    const one = someHosts(room, rng);
    const other = room.hosts.filter((host) => !one.includes(host));
    const cutMs = 5_000 + rng.below(85_000);
    world.after(rng.below(5_000), () => {
      room.part(one, other, cutMs);
      // A part without a coordinator waits for one that it does not hear: 5 s, and its turn.
      if (cutMs < 10_000) return;
      world.after(8_000, () => {
        for (const part of [one, other]) {
          const leaders = new Set(part.map((host) => room.core(host)?.leader));
          const [leader] = leaders;
          if (leaders.size === 1 && leader !== undefined && part.includes(leader)) continue;
          complain(`${part.join(" ")} follow ${[...leaders].join(" and ")} 8 s after the cut`);
        }
      });
    });
  },
};

/** One part does not hear the other, which hears it well. */
export const oneWayCut: MeshScenario = {
  ...partitionHeals,
  name: "one-way-cut",
  trouble({ world, room, rng }: Stage) {
    const one = someHosts(room, rng);
    const other = room.hosts.filter((host) => !one.includes(host));
    world.after(rng.below(5_000), () => room.cut(one, other, 5_000 + rng.below(85_000)));
  },
};
