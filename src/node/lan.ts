// What the local network has: meshes to join and nodes to build on.

import { MeshError } from "../core/error.ts";
import { findOnLan, type LanNode } from "../mesh/discovery.ts";
import { parseLink } from "../mesh/invitation.ts";
import type { Log } from "../telemetry/logger.ts";

/** How long `builder join --lan` listens, in ms. */
export const lookAroundMs = 3000;

/** A mesh as it tells of itself on the local network. */
export interface LanMesh {
  /** The name that people gave it; another one may have the same. */
  readonly name: string;
  /** The authority's public key, base64url. */
  readonly id: string;
  /** At least one. */
  readonly nodes: readonly LanNode[];
}

/** Meshes of the local network, those with the most nodes first. */
export async function findMeshes(log: Log): Promise<LanMesh[]> {
  const byMesh = Map.groupBy(await findOnLan(log, lookAroundMs), ({ meshId }) => meshId);
  return [...byMesh]
    .map(([id, nodes]) => ({ name: nodes[0]?.meshName ?? "", id, nodes }))
    .toSorted((a, b) => b.nodes.length - a.nodes.length);
}

/**
 * The invitation in a line that somebody pasted, with or without the command around it.
 * INVALID_ARGUMENT where there is none in it, or one of another mesh than was chosen.
 */
export function invitationTo(mesh: LanMesh, pasted: string): string {
  const link = /builder:\/\/join\/[\w-]*/.exec(pasted)?.[0] ?? pasted;
  const { meshId } = parseLink(link);
  if (Buffer.from(meshId).toString("base64url") === mesh.id) return link;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `That is an invitation to another mesh than the "${mesh.name}" that was heard here. Run ` +
      "`builder mesh invite` on a node of that one.",
  );
}

/** Nodes on which this machine can build, as `--remote` takes them. */
export async function findNodesToBuildOn(log: Log, ms: number): Promise<string[]> {
  const nodes = await findOnLan(log, ms);
  return nodes
    .filter(({ remotePort }) => remotePort > 0)
    .map(({ host, remotePort, tls }) => `${tls ? "grpcs://" : ""}${host}:${remotePort}`);
}
