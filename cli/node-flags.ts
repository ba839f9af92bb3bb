// The flags by which commands name the node that they ask.

import type { Command } from "commander";
import { type Endpoint, type EndpointFlags, readEndpoint } from "../src/build/endpoint.ts";
import { defaultStore } from "../src/node/config.ts";
import { listNodes } from "../src/node/node-file.ts";
import { asOwner } from "../src/node/owner-token.ts";
import { usualNode } from "./find-node.ts";

/** What they say. */
export interface NodeChoice extends EndpointFlags {
  readonly coordinator?: string;
  /** The store whose node is meant where none is named, and whose owner's token is sent to it. */
  readonly store?: string;
}

/** Adds them to a command. */
export function addNodeFlags(command: Command): Command {
  return command
    .option("--coordinator <node>", "the node: HOST:PORT, or grpcs://HOST:PORT (this machine's)")
    .option("--tls-ca <file>", "authority of the node's certificate (PEM)")
    .option("--tls-cert <file>", "client certificate to show (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--token-file <file>", "file with a token; else BUILDER_TOKEN, or the owner's")
    .option("--store <folder>", "the store of the node: its address and its owner's token");
}

/** The node they name, else the one that runs on the store. */
export function chosenEndpoint(flags: NodeChoice): Endpoint {
  const store = chosenStore(flags);
  const node = flags.coordinator ?? listNodes(store)[0]?.address ?? usualNode;
  return asOwner(store, readEndpoint(node, flags, process.env["BUILDER_TOKEN"]));
}

/** The store they name, else this user's. */
export function chosenStore({ store }: NodeChoice): string {
  return store ?? defaultStore(process.env["XDG_CACHE_HOME"]);
}
