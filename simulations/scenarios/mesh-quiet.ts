// Meshes in which next to nothing happens: what is said then, and how soon a large one notices that
// a host is gone.

import { ByteRates, isOfOneMind } from "../mesh-checkers.ts";
import type { MeshScenario, Stage } from "../mesh-scenario.ts";

/** A network that behaves. */
export const calmNetwork = {
  latencyMs: 1,
  jitterMs: 3,
  lossPerMille: 0,
  duplicatePerMille: 0,
  reorderPerMille: 0,
  lateMs: 0,
} as const;

/** Bytes a second that a node of an idle mesh may send. */
const idleRateMax = 2_048;

/** A rate that grows by more than this, in bytes a second, does not stay the same. */
const rateGrowthMax = 20;

const minuteMs = 60_000;

/** 16 hosts with nothing to do: traffic is small, and the same after a while as before. */
export const idleMesh: MeshScenario = {
  name: "idle-mesh",
  size: { hosts: 16, workersPerHost: 2, clocksAheadMsMax: 0 },
  network: calmNetwork,
  troubleMs: 20 * minuteMs,
  convergeMsMax: 15_000,
  trouble({ world, room, complain }: Stage) {
    const rates = new ByteRates(world);
    let early = 0;
    world.after(minuteMs, () => rates.start());
    world.after(6 * minuteMs, () => {
      const { mean, most } = rates.read(room.up);
      early = mean;
      if (most > idleRateMax) complain(`an idle node sends ${most} bytes a second`);
    });
    world.after(14 * minuteMs, () => rates.start());
    world.after(19 * minuteMs, () => {
      const { mean } = rates.read(room.up);
      if (mean > early + rateGrowthMax) complain(`${early} bytes a second became ${mean}`);
    });
  },
};

/** Bytes a second that a node of a large mesh may send. */
const largeRateMax = 10_240;

/** How long a large mesh may take to notice that a host is gone, in ms. */
const noticeMsMax = 15_000;

/** 1,000 hosts, all linked; one is killed, and every other one notices. */
export const thousandHosts: MeshScenario = {
  name: "thousand-hosts",
  size: { hosts: 1_000, workersPerHost: 0, clocksAheadMsMax: 0, isRemembered: true },
  network: calmNetwork,
  troubleMs: 60_000,
  convergeMsMax: 60_000,
  trouble({ world, room, rng, rates, complain }: Stage) {
    const gone = room.hosts[rng.below(room.hosts.length)] ?? "";
    rates.start();
    room.crash(gone, Number.MAX_SAFE_INTEGER / 2, false);
    const startMs = world.nowMs;
    const look = () => {
      const tookMs = world.nowMs - startMs;
      if (isOfOneMind(room)) {
        world.trace(`all hosts noticed within ${tookMs} ms`);
      } else if (tookMs > noticeMsMax) {
        complain(`after ${tookMs} ms not every host noticed that ${gone} is gone`);
      } else world.after(500, look);
    };
    look();
    world.after(59_000, () => {
      const { mean, most } = rates.read(room.up);
      world.trace(`a host sends ${mean} bytes a second, at most ${most}`);
      if (most > largeRateMax) complain(`a host sends ${most} bytes a second`);
    });
  },
};
