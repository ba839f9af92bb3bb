// `builder simulate`: what scaling policies would do with a day of work. The simulator is loaded
// only here, and always from its source: no other command needs it.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Command } from "commander";
import { MeshError } from "../../src/core/error.ts";
import { wholeNumber } from "../flags.ts";

interface SimulateFlags {
  readonly trace?: string;
  readonly policies?: string;
  readonly seed: number;
  readonly seeds: number;
  readonly sweep: readonly string[];
  readonly recommend: boolean;
  readonly report?: string;
  readonly json: boolean;
}

/** Adds the command. */
export function addSimulateCommand(program: Command): void {
  program
    .command("simulate")
    .argument("[scenario]", "YAML or JSON file; without one, a made-up day of 350 builds")
    .description("Play scaling policies on a day of work and say what they come to.")
    .option("--trace <file>", "work to play: a record of this mesh, .ninja_log, Bazel profile, …")
    .option("--policies <names>", "only these, separated by commas")
    .option("--seed <n>", "first seed", wholeNumber(0, 2 ** 32 - 1), 1)
    .option(
      "--seeds <n>",
      "seeds from that one on; figures are their means",
      wholeNumber(1, 100),
      1,
    )
    .option(
      "--sweep <name=values>",
      "also try these values, such as idle=2m,5m; repeatable",
      add,
      [],
    )
    .option("--recommend", "print the flags that fit the scenario's target wait", false)
    .option("--report <file>", "write a page with charts")
    .option("--json", "print the figures for programs", false)
    .action(async (scenario: string | undefined, flags: SimulateFlags) => {
      const { simulate } = await loadSimulator();
      const policies = flags.policies?.split(",") ?? [];
      const { trace, report, seed, seeds, sweep, recommend, json } = flags;
      await simulate(
        { scenario, trace, policies, seed, seeds, sweep, recommend, report, json },
        {
          print: (text) => process.stdout.write(text),
          progress: (line) =>
            void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}`)),
          nowMs: Date.now,
        },
      );
    });
}

function add(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

async function loadSimulator(): Promise<typeof import("../../simulations/scaling/simulate.ts")> {
  const program = "simulations/scaling/simulate.ts";
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, program))) {
    if (folder === dirname(folder)) {
      throw new MeshError("NOT_FOUND", "The simulator is not installed beside this program.");
    }
    folder = dirname(folder);
  }
  return await import(pathToFileURL(join(folder, program)).href);
}
