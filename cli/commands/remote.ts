// `builder remote …`: how a node is.

import type { Command } from "commander";
import { type EndpointFlags, readEndpoint } from "../../src/build/endpoint.ts";
import { fetchStatus } from "../../src/node/status.ts";
import { renderStatus } from "../render.ts";

interface StatusFlags extends EndpointFlags {
  readonly coordinator: string;
  readonly json?: boolean;
}

/** Adds the command and its parts. */
export function addRemoteCommand(program: Command): void {
  const remote = program.command("remote").description("Show a running node.");
  remote
    .command("status")
    .description("Show uptime, workers, queue and figures of a node.")
    .option("--coordinator <node>", "the node: HOST:PORT, or grpcs://HOST:PORT", "127.0.0.1:9000")
    .option("--tls-ca <file>", "authority of the node's certificate (PEM)")
    .option("--tls-cert <file>", "client certificate to show (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--token-file <file>", "file with a token; else BUILDER_TOKEN")
    .option("--json", "print the figures for programs")
    .action(async (flags: StatusFlags) => {
      const endpoint = readEndpoint(flags.coordinator, flags, process.env["BUILDER_TOKEN"]);
      const status = await fetchStatus(endpoint);
      process.stdout.write(flags.json ? `${JSON.stringify(status)}\n` : renderStatus(status));
    });
}
