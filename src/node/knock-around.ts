// `builder join --lan` without an invitation: knocks at the nodes of the chosen mesh until one
// comes to a code, and makes an invitation of what that one answers.

import { MeshError } from "../core/error.ts";
import type { LanNode } from "../mesh/discovery.ts";
import { formatLink } from "../mesh/invitation.ts";
import { type Knocked, knock } from "../mesh/knock.ts";
import { printable } from "../telemetry/logger.ts";
import type { LanMesh } from "./lan.ts";
import { software } from "./version.ts";

/** Bound: nodes that are dialled. */
const knocksMax = 8;

/**
 * An invitation to `mesh` for this machine alone. `onCode` is told the code and the name of the
 * node that waits for it, once: who knocked until it liked its code would be who is in between.
 * Rejects as `knock`; FAILED_PRECONDITION where no node that was heard lets others in.
 */
export async function knockAround(
  mesh: LanMesh,
  name: string,
  on: {
    readonly signal: AbortSignal;
    readonly onCode: (code: string, node: string) => void;
  },
): Promise<{ readonly link: string; readonly node: string }> {
  const meshId = Buffer.from(mesh.id, "base64url");
  const named = new Set<string>();
  const failures: string[] = [];
  let left = mesh.nodes;
  for (let knocked = 0; knocked < knocksMax; knocked += 1) {
    const [node, ...others] = left;
    if (node === undefined) break;
    const { signal, onCode } = on;
    const hear = { signal, onCode: (code: string) => onCode(code, node.node) };
    const place = { meshId, peer: node.peer, address: addressOf(node) };
    const came: Knocked = await knock(place, { name, software }, hear);
    if (came.kind === "letIn") return { link: linkOf(place, came.secret), node: node.node };
    if (came.kind === "failed") failures.push(`${node.node}: ${came.failure.message}`);
    else for (const admin of came.names) named.add(admin);
    left = namedFirst(others, named);
  }
  throw nobodyLetsIn(mesh, named, failures);
}

function linkOf(
  { meshId, peer, address }: Parameters<typeof knock>[0],
  secret: Uint8Array,
): string {
  return formatLink({ meshId, secret, expiresAtMs: 0, peer, addresses: [address] });
}

function namedFirst(nodes: readonly LanNode[], names: ReadonlySet<string>): LanNode[] {
  return nodes.toSorted((a, b) => Number(names.has(b.node)) - Number(names.has(a.node)));
}

function addressOf({ host, port }: LanNode): string {
  return `/${host.includes(":") ? "ip6" : "ip4"}/${host}/tcp/${port}`;
}

function nobodyLetsIn(
  mesh: LanMesh,
  named: ReadonlySet<string>,
  failures: readonly string[],
): MeshError {
  const who =
    named.size === 0
      ? "none that was heard here holds its key"
      : `${[...named].join(" or ")} holds its key and does not answer here`;
  const why = failures.length === 0 ? "" : ` (${failures.join("; ").slice(0, 600)})`;
  const text =
    `No node of "${mesh.name}" lets this machine in: ${who}. \`builder mesh invite\` on a node ` +
    `that may prints a line to run here: builder join 'builder://join/…'${why}`;
  // Names are what anybody in the network may say.
  return new MeshError("FAILED_PRECONDITION", printable(text));
}
