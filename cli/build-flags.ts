// The flags of every command that builds.

import { type Command, Option } from "commander";
import type { Download } from "../src/build/build-run.ts";
import type { EndpointFlags } from "../src/build/endpoint.ts";
import { MeshError } from "../src/core/error.ts";
import { formatHostPort } from "../src/node/config.ts";
import type { ColorChoice } from "./color.ts";
import { hostPort, wholeNumber } from "./flags.ts";

/** What they say. */
export interface BuildFlags extends EndpointFlags {
  /** True without a value, else `HOST:PORT,…`, `local` or `auto`. */
  readonly remote?: true | string;
  /** Undefined leaves it to the Builderspace, else to this machine. */
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly color: ColorChoice;
  readonly download: Download;
  readonly store?: string;
  readonly sandbox?: "auto" | "none";
}

function nodeName(text: string): string {
  if (text === "local" || text === "auto" || text.includes("://")) return text;
  return text
    .split(",")
    .map((one) => formatHostPort(hostPort("127.0.0.1")(one)))
    .join(",");
}

/** Adds the flags of commands that build here or on a node. */
export function addBuildFlags(command: Command): void {
  addNodeChoice(command);
  command.option("-k, --keep-going", "go on with what does not depend on a failure");
  addLocalFlags(command);
}

/** Adds the flags that choose between this machine and a node. */
export function addNodeChoice(command: Command): void {
  command
    .option(
      "--remote [node]",
      "run on a node: HOST:PORT, grpcs://HOST:PORT, several separated by commas of which any " +
        "does, `local` for one just for this build, or `auto` for a node where it helps",
      nodeName,
    )
    .option("--tls-ca <file>", "authority of the node's certificate (PEM)")
    .option("--tls-cert <file>", "client certificate to show (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--token-file <file>", "file with a token for the node; else BUILDER_TOKEN");
}

/** Adds the flags of commands that run actions, wherever that is. */
export function addLocalFlags(command: Command): void {
  command
    .option(
      "-j, --jobs <n>",
      "actions at once; 4 for each core on a node, 1 here when left out",
      wholeNumber(1, 10_000),
    )
    .option("--json", "print every event as one JSON object a line")
    .option("--verbose", "print each action's command line and where it ran")
    .addOption(
      new Option("--color <when>", "colours: on terminals, NO_COLOR and FORCE_COLOR heeded")
        .choices(["auto", "always", "never"])
        .default("auto"),
    )
    .addOption(
      new Option("--download <what>", "outputs that come to the workspace")
        .choices(["all", "top", "none"])
        .default("top"),
    )
    .option("--store <folder>", "where blobs and results are kept on this machine")
    .addOption(new Option("--sandbox <kind>", "isolation").choices(["auto", "none"]));
}

/** Says what would otherwise be ignored. */
export function checkEndpointFlags(flags: EndpointFlags & Pick<BuildFlags, "remote">): void {
  const { remote, tlsCa, tlsCert, tlsKey, tokenFile } = flags;
  const given = [tlsCa, tlsCert, tlsKey, tokenFile].some((flag) => flag !== undefined);
  if (!given || (remote !== undefined && remote !== "local")) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    "--tls-ca, --tls-cert, --tls-key and --token-file are for a node: add --remote=HOST:PORT.",
  );
}
