import { expect, test } from "vitest";
import { plays } from "../../../simulations/plays.ts";
import { regressions } from "../../../simulations/regressions.ts";
import { runScenario, type Scenario } from "../../../simulations/scenario.ts";
import { firstLight, firstLightSmall } from "../../../simulations/scenarios/first-light.ts";
import type { PeerId } from "../../../src/core/action.ts";
import type { Effect, Input, Machine } from "../../../src/core/machine.ts";

/** A core that does not hear some inputs or does not do some of what it should. */
function deaf(core: Machine, isHeard: (input: Input) => boolean): Machine {
  return {
    get wakeAtMs() {
      return core.wakeAtMs;
    },
    handle: (input, nowMs) => (isHeard(input) ? core.handle(input, nowMs) : []),
  };
}

function mute(core: Machine, isDone: (effect: Effect) => boolean): Machine {
  return {
    get wakeAtMs() {
      return core.wakeAtMs;
    },
    handle: (input, nowMs) => core.handle(input, nowMs).filter(isDone),
  };
}

function failuresOf(tamper: (peer: PeerId, core: Machine) => Machine): string {
  return runScenario(firstLightSmall, 1, { tamper }).failures.join("\n");
}

test("10,000 actions survive a third of the workers dying, losses and copies", () => {
  const report = runScenario(firstLight, 1);
  expect(report.failures).toEqual([]);
  expect(report.makespanMs).toBeGreaterThanOrEqual(report.lowerBoundMs);
}, 60_000);

test("small builds survive the same for many seeds", () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    expect([seed, runScenario(firstLightSmall, seed).failures]).toEqual([seed, []]);
  }
});

test("without faults nothing runs twice, and the makespan is near the lower bound", () => {
  const { network, machines } = firstLightSmall;
  const calm: Scenario = {
    ...firstLightSmall,
    network: { ...network, lossPerMille: 0, duplicatePerMille: 0, reorderPerMille: 0 },
    machines: { ...machines, crashes: 0, freezes: 0, cuts: 0 },
    budget: { makespanPerMilleMax: 1_300, duplicatesMax: 0, idleMsMax: 500 },
  };
  for (let seed = 1; seed <= 5; seed += 1) {
    expect([seed, runScenario(calm, seed).failures]).toEqual([seed, []]);
  }
});

test("seeds that once failed pass", () => {
  for (const { scenario, seed } of regressions) {
    const play = plays.find(({ name }) => name === scenario)!;
    expect([scenario, seed, play.play(seed).failures]).toEqual([scenario, seed, []]);
  }
});

test("the same seed is the same run and another seed is another", () => {
  const lines: string[] = [];
  const first = runScenario(firstLightSmall, 3, { onTrace: (line) => lines.push(line) });
  expect(runScenario(firstLightSmall, 3)).toEqual(first);
  expect(runScenario(firstLightSmall, 4).hash).not.toBe(first.hash);
  expect(first.hash).toMatch(/^[0-9a-f]{16}$/);
  expect(lines.length).toBeGreaterThan(10_000);
});

test("a worker that never reports results is noticed", () => {
  const tamper = (peer: PeerId, core: Machine) =>
    peer === "w1" || peer.startsWith("n")
      ? core
      : mute(core, (effect) => effect.kind !== "send" || effect.message.kind !== "done");
  expect(failuresOf(tamper)).toMatch(/\d+ calls never ended, among them o\d+/);
});

test("an ingress that drops one action is noticed", () => {
  const tamper = (_peer: PeerId, core: Machine) =>
    deaf(core, (input) => input.kind !== "submit" || input.operation !== "o10");
  expect(failuresOf(tamper)).toContain("1 calls never ended, among them o10");
});

test("an ingress that answers twice is noticed", () => {
  const twice = (core: Machine): Machine => ({
    get wakeAtMs() {
      return core.wakeAtMs;
    },
    handle: (input, nowMs) =>
      core.handle(input, nowMs).flatMap((effect) => {
        const isEnd = effect.kind === "publish" && effect.stage.kind === "completed";
        return isEnd ? [effect, effect] : [effect];
      }),
  });
  expect(failuresOf((peer, core) => (peer === "n1" ? twice(core) : core))).toMatch(/ended twice/);
});

test("a worker that claims nothing is noticed as idle beside work", () => {
  const tamper = (peer: PeerId, core: Machine) =>
    peer === "w1"
      ? mute(core, (effect) => effect.kind !== "send" || effect.message.kind !== "claim")
      : core;
  expect(failuresOf(tamper)).toMatch(/w1 had a free slot beside waiting work/);
});

test("an ingress that gives one attempt to two workers is noticed", () => {
  const generous = (core: Machine): Machine => ({
    get wakeAtMs() {
      return core.wakeAtMs;
    },
    handle: (input, nowMs) =>
      core
        .handle(input, nowMs)
        .map((effect) =>
          effect.kind === "send" && effect.message.kind === "gone"
            ? { ...effect, message: { kind: "bound", token: effect.message.token } }
            : effect,
        ),
  });
  const tamper = (peer: PeerId, core: Machine) => (peer === "n1" ? generous(core) : core);
  expect(failuresOf(tamper)).toMatch(/was bound to w\d and to w\d/);
});
