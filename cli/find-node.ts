// Which node `--remote` without an address means: what the user or the workspace says, else the
// node of this machine, one of the local network, or the last one that was used.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { MeshError } from "../src/core/error.ts";
import { listNodes, nodeFolderOf } from "../src/node/node-file.ts";

/** Where nodes may be known from. */
export interface NodeSources {
  /** `$BUILDER_REMOTE`; undefined or empty where it says nothing. */
  readonly wanted: string | undefined;
  /** What the Builderspace says. */
  readonly space: string | undefined;
  /** This machine's store, beside which its node leaves its address. */
  readonly store: string;
  /** File with the node that was last used. */
  readonly lastFile: string;
  /** Nodes of the local network, as `--remote` takes them; takes no longer than `lanMs`. */
  readonly findOnLan: (lanMs: number) => Promise<readonly string[]>;
  /** Whether something listens there. */
  readonly answers: (address: string) => Promise<boolean>;
}

/** Where a node listens unless told. */
export const usualNode = "127.0.0.1:9000";
/** How long the local network is listened to, in ms. */
export const lanMs = 500;
/** How long a connection may take, in ms. */
const connectMs = 500;

/**
 * The first source that knows a node. Who names one is taken at his word; what is merely known must
 * answer. UNAVAILABLE lists what was tried.
 */
export async function findNode(sources: NodeSources): Promise<string> {
  const { wanted, space, store, lastFile, findOnLan, answers } = sources;
  if (wanted) return wanted;
  if (space !== undefined) return space;
  const tried = ["BUILDER_REMOTE is not set", "the Builderspace names none"];
  const known: readonly (readonly [string, () => Promise<readonly string[]>])[] = [
    [`in ${nodeFolderOf(store)}`, async () => listed(listNodes(store)[0]?.address)],
    ["at the usual address", async () => [usualNode]],
    ["on the local network", () => findOnLan(lanMs)],
    ["used last", async () => listed(readLast(lastFile))],
  ];
  for (const [where, find] of known) {
    const nodes = await find();
    for (const node of nodes) if (await anyAnswers(node, answers)) return node;
    const silent = nodes.length === 0 ? "none" : `${nodes.join(" ")} does not answer`;
    tried.push(`${where}: ${silent}`);
  }
  throw new MeshError(
    "UNAVAILABLE",
    `No builder node was found (${tried.join("; ")}). ` +
      "Start one with: builder serve --remote, or name one: --remote=HOST:PORT",
  );
}

function listed(node: string | undefined): readonly string[] {
  return node === undefined ? [] : [node];
}

async function anyAnswers(nodes: string, answers: NodeSources["answers"]): Promise<boolean> {
  for (const node of nodes.split(",")) {
    if (await answers(node.replace(/^[a-z]+:\/\//, ""))) return true;
  }
  return false;
}

function readLast(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Remembers a node that was used; whoever cannot write finds the others still. */
export function rememberNode(file: string, node: string): void {
  if (readLast(file) === node) return;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${node}\n`);
  } catch {
    // A cache folder that cannot be written is no reason to fail a build.
  }
}

/** Whether something listens at HOST:PORT. */
export function listens(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !(port > 0 && port < 65_536)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
