// `npm run simulate -- scaling …`: the same as `builder simulate`, without the rest of Builder.

import { parseArgs } from "node:util";
import { failureOf } from "../../src/core/error.ts";
import { simulate } from "./simulate.ts";

const usage = `Usage: node simulations/main.ts scaling [SCENARIO] [--trace FILE] [--policies NAMES]
         [--seed N] [--seeds N] [--sweep NAME=VALUES]… [--recommend] [--report FILE] [--json]

The flags are those of \`builder simulate --help\`; docs/simulation.md has examples.`;

/** Runs it and returns the exit code: 2 for what was asked wrongly. */
export async function runScalingCommand(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        trace: { type: "string" },
        policies: { type: "string" },
        seed: { type: "string", default: "1" },
        seeds: { type: "string", default: "1" },
        sweep: { type: "string", multiple: true, default: [] },
        recommend: { type: "boolean", default: false },
        report: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    const { trace, report, sweep, recommend, json } = values;
    await simulate(
      {
        ...{ scenario: positionals[0], trace, report, sweep, recommend, json },
        policies: values.policies?.split(",") ?? [],
        seed: whole("--seed", values.seed, 0, 2 ** 32 - 1),
        seeds: whole("--seeds", values.seeds, 1, 100),
      },
      {
        print: (text) => process.stdout.write(text),
        progress: (line) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${line}`),
        nowMs: () => performance.now(),
      },
    );
    return 0;
  } catch (error) {
    console.error(`${failureOf(error).message}\n\n${usage}`);
    return 2;
  }
}

function whole(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${flag} wants a whole number from ${min} to ${max}, not "${text}"`);
}
