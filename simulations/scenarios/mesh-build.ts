// A build that is asked of one host and spreads over all, while the others are killed, stand still
// and are cut off, the coordinator among them.

import { checkDuplicates, checkNothingLost } from "../checkers.ts";
import { startClients } from "../clients.ts";
import type { MeshScenario, Stage } from "../mesh-scenario.ts";
import { MeshWork } from "../mesh-work.ts";
import { syntheticWorkload } from "../workloads.ts";
import { roughNetwork } from "./mesh-leader.ts";

/** Actions that may run again although one run would do. */
const duplicatesMax = 60;

const workload = {
  actions: 200,
  invocations: 3,
  jobs: 40,
  kinds: 20,
  repeatPerMille: 30,
  startMsMax: 2_000,
} as const;

/** 200 actions on four hosts with two workers of two slots each. */
export const meshBuild: MeshScenario = {
  name: "mesh-build",
  size: { hosts: 4, workersPerHost: 2, clocksAheadMsMax: 172_800_000, isStealing: true },
  network: roughNetwork,
  troubleMs: 180_000,
  convergeMsMax: 75_000,
  trouble({ world, room, rng, complain }: Stage) {
    const { invocations, durationMsByAction } = syntheticWorkload(workload, rng.fork("workload"));
    const work = new MeshWork(world, room, durationMsByAction);
    const [ingress = "", ...others] = room.hosts;
    // Its calls begin when everybody heard that stealing is on.
    const asked = invocations.map((each) => ({ ...each, startMs: world.nowMs + each.startMs }));
    const build = { invocations: asked, durationMsByAction };
    const checkers = [checkNothingLost(world, build), checkDuplicates(work, duplicatesMax)];
    startClients(world, build, [ingress]);
    for (let event = 0; event < 4; event += 1) {
      const kind = rng.below(3);
      const host = others[rng.below(others.length)] ?? "";
      const lastMs = 500 + rng.below(20_000);
      world.after(rng.below(40_000), () => {
        if (kind === 0) room.crash(host, lastMs, true);
        else if (kind === 1) room.freeze(host, lastMs);
        else room.part([host], [ingress], lastMs);
      });
    }
    world.after(179_000, () => {
      const isSpread = work.runs.some(({ peer }) => !peer.startsWith(`${ingress}w`));
      if (!isSpread) complain(`no worker of another host took anything from ${ingress}`);
      for (const failure of checkers.flatMap((each) => each.failures())) complain(failure);
    });
  },
};
