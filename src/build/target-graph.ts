// Which targets a build needs, dependencies first.

import { MeshError } from "../core/error.ts";
import { labelOf, type PlacedTarget, type Workspace } from "./workspace.ts";

/** A target with the targets it names in `deps`. */
export interface TargetNode extends PlacedTarget {
  readonly label: string;
  readonly deps: readonly TargetNode[];
}

/** The nodes of `wanted` and all below them, each after its deps. INVALID_ARGUMENT for a cycle. */
export function targetGraph(
  workspace: Workspace,
  wanted: readonly PlacedTarget[],
): { readonly order: readonly TargetNode[]; readonly wanted: readonly TargetNode[] } {
  const order: TargetNode[] = [];
  const nodeByLabel = new Map<string, TargetNode>();
  const path: PlacedTarget[] = [];

  function visit(placed: PlacedTarget): TargetNode {
    const label = labelOf(placed);
    const known = nodeByLabel.get(label);
    if (known !== undefined) return known;
    const start = path.findIndex((other) => labelOf(other) === label);
    if (start >= 0) throw cycle([...path.slice(start), placed]);
    path.push(placed);
    const deps = placed.target.deps.map((dep) => {
      try {
        return visit(workspace.find(dep, placed.package));
      } catch (error) {
        const { file, line, column } = dep.place;
        throw error instanceof MeshError && error.code === "NOT_FOUND"
          ? new MeshError("NOT_FOUND", `${file}:${line}:${column}: error: ${error.message}`)
          : error;
      }
    });
    path.pop();
    const node = { ...placed, label, deps };
    nodeByLabel.set(label, node);
    order.push(node);
    return node;
  }

  return { wanted: wanted.map(visit), order };
}

/** All nodes below `node`, itself not included, each once, nearest first. */
export function transitiveDeps(node: TargetNode): TargetNode[] {
  const found = new Set<TargetNode>();
  const queue = [...node.deps];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (found.has(next)) continue;
    found.add(next);
    queue.push(...next.deps);
  }
  return [...found];
}

function cycle(path: readonly PlacedTarget[]): MeshError {
  const [first] = path;
  const place = first?.target.place;
  const where = place === undefined ? "" : `${place.file}:${place.line}:${place.column}: error: `;
  const names = path.map((placed) => placed.target.name).join(" -> ");
  return new MeshError("INVALID_ARGUMENT", `${where}Targets depend on each other: ${names}.`);
}
