// `builder remote invocations [ID]`: builds that build tools told a node of.

import type { Command } from "commander";
import { fetchInvocation, fetchInvocations } from "../../src/build/invocations-client.ts";
import { invocationLines, invocationReportLines } from "../invocations-view.ts";
import { addNodeFlags, chosenEndpoint, type NodeChoice } from "../node-flags.ts";

/** Adds the command below `builder remote`. */
export function addInvocationsCommand(remote: Command): void {
  const command = remote
    .command("invocations")
    .argument("[id]", "one of them, by the begin of its id; all when left out")
    .description("Show builds whose tool told this node of them, as Bazel can.");
  addNodeFlags(command)
    .option("--json", "print them for programs")
    .action(async (id: string | undefined, flags: NodeChoice & { readonly json?: boolean }) => {
      const endpoint = chosenEndpoint(flags);
      const width = process.stdout.columns || 80;
      if (id === undefined) {
        const found = await fetchInvocations(endpoint);
        print(flags.json ? [JSON.stringify(found)] : invocationLines(found, width));
        return;
      }
      const found = await fetchInvocation(endpoint, id);
      print(flags.json ? [JSON.stringify(found)] : invocationReportLines(found, width));
    });
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
