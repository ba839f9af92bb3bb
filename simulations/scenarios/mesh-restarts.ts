// Hosts come and go: an upgrade of one after the other, and everything at once.

import { type MeshScenario, type Stage, someHosts } from "../mesh-scenario.ts";
import { roughNetwork } from "./mesh-leader.ts";

/** Each host says goodbye, ends and starts again, one after the other. */
export const rollingRestart: MeshScenario = {
  name: "rolling-restart",
  size: { hosts: 5, workersPerHost: 1, clocksAheadMsMax: 172_800_000 },
  network: roughNetwork,
  troubleMs: 55_000,
  convergeMsMax: 60_000,
  trouble({ world, room, rng }: Stage) {
    for (const [at, host] of room.hosts.entries()) {
      world.after(at * 10_000, () => room.restart(host, 1_000 + rng.below(4_000)));
    }
  },
};

/** Crashes, pauses and cuts at random, for two minutes. */
export const churn: MeshScenario = {
  name: "churn",
  size: { hosts: 6, workersPerHost: 1, clocksAheadMsMax: 172_800_000 },
  network: { ...roughNetwork, bytesPerMs: 100 },
  troubleMs: 180_000,
  convergeMsMax: 75_000,
  trouble({ world, room, rng }: Stage) {
    for (let event = 0; event < 12; event += 1) {
      const kind = rng.below(4);
      const host = room.hosts[rng.below(room.hosts.length)] ?? "";
      const lastMs = 500 + rng.below(40_000);
      const hasMemory = rng.below(2) === 0;
      const one = someHosts(room, rng);
      const other = room.hosts.filter((each) => !one.includes(each));
      world.after(rng.below(120_000), () => {
        if (kind === 0) room.crash(host, lastMs, hasMemory);
        else if (kind === 1) room.freeze(host, lastMs);
        else if (kind === 2) room.part(one, other, lastMs);
        else room.cut(one, other, lastMs);
      });
    }
  },
};
