import { expect, test } from "vitest";
import { runScenario, type Scenario } from "../../../simulations/scenario.ts";
import { steal, stealInTrouble } from "../../../simulations/scenarios/steal.ts";

test("a real build's actions, asked of one host of eight, keep all of them busy", () => {
  const report = runScenario(steal, 1);
  expect(report.failures).toEqual([]);
  expect(report.stealing?.spreadMs).toBeLessThan(200);
}, 60_000);

test("stealing survives crashes, pauses, losses and copies", () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    expect([seed, runScenario(stealInTrouble, seed).failures]).toEqual([seed, []]);
  }
}, 60_000);

test("without stealing the same work stays at its host, and the checkers say so", () => {
  const few = { ...steal.workload, actions: 200, jobs: 200 };
  const lone: Scenario = { ...steal, workload: few };
  const report = runScenario(lone, 1, {
    tamper: (_peer, core) => ({
      get wakeAtMs() {
        return core.wakeAtMs;
      },
      handle: (input, nowMs) =>
        core
          .handle(input, nowMs)
          .filter((effect) => effect.kind !== "send" || effect.message.kind !== "steal"),
    }),
  });
  expect(report.failures.join("\n")).toMatch(/every slot was busy after .* idled beside work/s);
});
