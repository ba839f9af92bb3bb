// `builder remote …`: how a node and its mesh are.

import type { Command } from "commander";
import { fetchStatus } from "../../src/node/status.ts";
import { addNodeFlags, chosenEndpoint, type NodeChoice } from "../node-flags.ts";
import { renderStatus } from "../render.ts";
import { addInvocationsCommand } from "./invocations.ts";
import { addLookCommands } from "./look.ts";
import { addScalingCommands } from "./scaling.ts";

/** Adds the command and its parts. */
export function addRemoteCommand(program: Command): void {
  const remote = program
    .command("remote")
    .description("Show a running node, and say how many workers it has.");
  const status = remote
    .command("status")
    .description("Show uptime, workers, queue and figures of a node.");
  addNodeFlags(status)
    .option("--json", "print the figures for programs")
    .action(async (flags: NodeChoice & { readonly json?: boolean }) => {
      const found = await fetchStatus(chosenEndpoint(flags));
      process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : renderStatus(found));
    });
  addLookCommands(remote);
  addScalingCommands(remote);
  addInvocationsCommand(remote);
}
