// `builder remote …`: how a node is.

import type { Command } from "commander";
import { formatHostPort, type HostPort } from "../../src/node/config.ts";
import { fetchStatus } from "../../src/node/status.ts";
import { hostPort } from "../flags.ts";
import { renderStatus } from "../render.ts";

/** Adds the command and its parts. */
export function addRemoteCommand(program: Command): void {
  const remote = program.command("remote").description("Show a running node.");
  remote
    .command("status")
    .description("Show uptime, workers, queue and figures of a node.")
    .option("--coordinator <host:port>", "the node's address", hostPort("127.0.0.1"), {
      host: "127.0.0.1",
      port: 9000,
    })
    .option("--json", "print the figures for programs")
    .action(async (flags: { readonly coordinator: HostPort; readonly json?: boolean }) => {
      const status = await fetchStatus(formatHostPort(flags.coordinator));
      process.stdout.write(flags.json ? `${JSON.stringify(status)}\n` : renderStatus(status));
    });
}
