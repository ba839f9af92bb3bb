// The simulator's command line: plays scenarios for seeds, each twice, and compares the hashes.
//
//   node simulations/main.ts [--scenario NAME] [--seed N | --seeds N] [--trace]

import { parseArgs } from "node:util";
import { regressions } from "./regressions.ts";
import { type Report, runScenario, type Scenario } from "./scenario.ts";
import { firstLight, firstLightSmall } from "./scenarios/first-light.ts";
import { flakyLinks } from "./scenarios/flaky-links.ts";
import { steal, stealInTrouble } from "./scenarios/steal.ts";

const scenarios: readonly Scenario[] = [
  firstLight,
  firstLightSmall,
  flakyLinks,
  steal,
  stealInTrouble,
];

const usage = `Usage: node simulations/main.ts [--scenario NAME] [--seed N | --seeds N] [--trace]

  --scenario NAME  one of ${scenarios.map(({ name }) => name).join(", ")}
                   (default: first-light-small; with neither --seed nor --seeds: all of them once)
  --seed N         plays this seed only
  --seeds N        plays seeds 1 to N, after those that once failed
  --trace          prints every line of the run; needs --seed`;

interface Choice {
  readonly scenario: Scenario;
  readonly seed: number;
}

process.exitCode = main();

function main(): number {
  let choices: readonly Choice[];
  let isTraced: boolean;
  try {
    const { values } = parseArgs({
      options: {
        scenario: { type: "string" },
        seed: { type: "string" },
        seeds: { type: "string" },
        trace: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    isTraced = values.trace;
    choices = choose(values);
    if (isTraced && values.seed === undefined) throw new Error("--trace needs --seed");
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    return 2;
  }
  const failed = choices.filter((choice) => !play(choice, isTraced));
  for (const { scenario, seed } of failed) {
    console.error(`Replay: node simulations/main.ts --scenario ${scenario.name} --seed ${seed}`);
  }
  return failed.length === 0 ? 0 : 1;
}

function choose(values: {
  readonly scenario?: string | undefined;
  readonly seed?: string | undefined;
  readonly seeds?: string | undefined;
}): readonly Choice[] {
  if (values.seed !== undefined && values.seeds !== undefined) {
    throw new Error("--seed and --seeds exclude each other");
  }
  const scenario = scenarioNamed(values.scenario ?? firstLightSmall.name);
  if (values.seed !== undefined) return [{ scenario, seed: whole("--seed", values.seed, 0) }];
  if (values.seeds !== undefined) {
    const seeds = whole("--seeds", values.seeds, 1);
    const fresh = Array.from({ length: seeds }, (_, index) => ({ scenario, seed: index + 1 }));
    return [...oldFailures(scenario), ...fresh];
  }
  const all = values.scenario === undefined ? scenarios : [scenario];
  return all.flatMap((each) => [...oldFailures(each), { scenario: each, seed: 1 }]);
}

function oldFailures(scenario: Scenario): readonly Choice[] {
  const own = regressions.filter((regression) => regression.scenario === scenario.name);
  return own.map(({ seed }) => ({ scenario, seed }));
}

function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const names = scenarios.map((scenario) => scenario.name).join(", ");
  throw new Error(`There is no scenario ${name}; there are ${names}`);
}

function whole(flag: string, text: string, min: number): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value < 2 ** 32) return value;
  throw new Error(`${flag} wants a whole number from ${min} to ${2 ** 32 - 1}, not "${text}"`);
}

/** Plays a seed twice; false where a checker complains or the runs differ. */
function play({ scenario, seed }: Choice, isTraced: boolean): boolean {
  const report = runScenario(scenario, seed, isTraced ? { onTrace: console.log } : {});
  const again = runScenario(scenario, seed);
  const failures = [...report.failures];
  if (again.hash !== report.hash) {
    failures.push(`Two runs of one seed differ: ${report.hash} and ${again.hash}`);
  }
  console.log(describe(scenario, seed, report, failures.length === 0));
  for (const failure of failures) console.error(`  ${failure}`);
  return failures.length === 0;
}

function describe(scenario: Scenario, seed: number, report: Report, isWell: boolean): string {
  const ratio = Math.round((report.makespanMs * 1000) / report.lowerBoundMs);
  const times = `${Math.floor(ratio / 1000)}.${`${ratio % 1000}`.padStart(3, "0")}`;
  return [
    `${scenario.name} seed ${seed} ${report.hash}`,
    `makespan ${report.makespanMs} ms = ${times} x lower bound`,
    `${report.duplicates} duplicates`,
    `idle at most ${report.longestIdleMs} ms`,
    `${report.messages} messages`,
    ...(report.stealing
      ? [
          `all busy after ${report.stealing.spreadMs} ms`,
          `${report.stealing.idlePerMille} of 1000 ms idle beside work`,
        ]
      : []),
    isWell ? "ok" : "FAILED",
  ].join(", ");
}
