// The simulator's command line: plays scenarios for seeds, each twice, and compares the hashes.
//
//   node simulations/main.ts [--scenario NAME] [--seed N | --seeds N] [--trace]
//   node simulations/main.ts scaling …

import { parseArgs } from "node:util";
import { type Outcome, type Play, playOfSeed, plays } from "./plays.ts";
import { regressions } from "./regressions.ts";
import { runScalingCommand } from "./scaling/command-line.ts";

const usage = `Usage: node simulations/main.ts [--scenario NAME] [--seed N | --seeds N] [--trace]

  --scenario NAME  one of ${plays.map(({ name }) => name).join(", ")}
                   (default: the small ones in turn; with neither --seed nor --seeds: all once,
                   but for those that take minutes)
  --seed N         plays this seed only
  --seeds N        plays seeds 1 to N, after those that once failed
  --trace          prints every line of the run; needs --seed

\`scaling --help\` tells of policies and of days of work.`;

interface Choice {
  readonly scenario: Play;
  readonly seed: number;
}

const [, , command, ...rest] = process.argv;
process.exitCode = command === "scaling" ? await runScalingCommand(rest) : main();

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
  const chosen = values.scenario === undefined ? undefined : playNamed(values.scenario);
  const choice = (seed: number) => {
    const scenario = chosen ?? playOfSeed(seed);
    return scenario === undefined ? [] : [{ scenario, seed }];
  };
  if (values.seed !== undefined) return choice(whole("--seed", values.seed, 0));
  const all = chosen === undefined ? plays.filter(({ size }) => size !== "huge") : [chosen];
  const old = all.flatMap(oldFailures);
  if (values.seeds === undefined) {
    return [...old, ...all.map((scenario) => ({ scenario, seed: 1 }))];
  }
  const seeds = whole("--seeds", values.seeds, 1);
  return [...old, ...Array.from({ length: seeds }, (_, index) => choice(index + 1)).flat()];
}

function oldFailures(scenario: Play): readonly Choice[] {
  const own = regressions.filter((regression) => regression.scenario === scenario.name);
  return own.map(({ seed }) => ({ scenario, seed }));
}

function playNamed(name: string): Play {
  const found = plays.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const names = plays.map((scenario) => scenario.name).join(", ");
  throw new Error(`There is no scenario ${name}; there are ${names}`);
}

function whole(flag: string, text: string, min: number): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value < 2 ** 32) return value;
  throw new Error(`${flag} wants a whole number from ${min} to ${2 ** 32 - 1}, not "${text}"`);
}

/** Plays a seed twice; false where a checker complains or the runs differ. */
function play({ scenario, seed }: Choice, isTraced: boolean): boolean {
  const report = scenario.play(seed, isTraced ? console.log : undefined);
  const again = scenario.play(seed);
  const failures = [...report.failures];
  if (again.hash !== report.hash) {
    failures.push(`Two runs of one seed differ: ${report.hash} and ${again.hash}`);
  }
  console.log(describe(scenario, seed, report, failures.length === 0));
  for (const failure of failures) console.error(`  ${failure}`);
  return failures.length === 0;
}

function describe(scenario: Play, seed: number, report: Outcome, isWell: boolean): string {
  const end = isWell ? "ok" : "FAILED";
  return `${scenario.name} seed ${seed} ${report.hash}, ${report.summary}, ${end}`;
}
