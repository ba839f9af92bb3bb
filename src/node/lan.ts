// What the local network has: meshes to join and nodes to build on.

import { findOnLan, type LanNode } from "../mesh/discovery.ts";
import type { Log } from "../telemetry/logger.ts";

/** How long `builder join --lan` listens, in ms. */
export const lookAroundMs = 3000;

/** Nodes of the local network by mesh, those with the most nodes first. */
export async function findMeshes(log: Log): Promise<{ name: string; nodes: LanNode[] }[]> {
  const byMesh = Map.groupBy(await findOnLan(log, lookAroundMs), ({ meshId }) => meshId);
  return [...byMesh.values()]
    .map((nodes) => ({ name: nodes[0]?.meshName ?? "", nodes }))
    .toSorted((a, b) => b.nodes.length - a.nodes.length);
}

/** Nodes on which this machine can build, as `--remote` takes them. */
export async function findNodesToBuildOn(log: Log, ms: number): Promise<string[]> {
  const nodes = await findOnLan(log, ms);
  return nodes
    .filter(({ remotePort }) => remotePort > 0)
    .map(({ host, remotePort, tls }) => `${tls ? "grpcs://" : ""}${host}:${remotePort}`);
}
