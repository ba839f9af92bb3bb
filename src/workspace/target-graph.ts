// Which targets a build needs, dependencies first.

import type { Label } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import { labelOf, type PlacedTarget, type Workspace } from "./workspace.ts";

/** A target with the targets it names in `deps`. */
export interface TargetNode extends PlacedTarget {
  readonly label: string;
  readonly deps: readonly TargetNode[];
}

interface Step {
  readonly placed: PlacedTarget;
  readonly label: string;
  readonly deps: TargetNode[];
}

/** The nodes of `wanted` and all below them, each after its deps. INVALID_ARGUMENT for a cycle. */
export function targetGraph(
  workspace: Workspace,
  wanted: readonly PlacedTarget[],
): { readonly order: readonly TargetNode[]; readonly wanted: readonly TargetNode[] } {
  const nodeByLabel = new Map<string, TargetNode>();
  // Steps instead of recursion: a chain of targets may be longer than the stack is deep.
  const path: Step[] = [];
  const onPath = new Set<string>();

  function enter(placed: PlacedTarget): TargetNode | undefined {
    const label = labelOf(placed);
    const known = nodeByLabel.get(label);
    if (known !== undefined) return known;
    if (onPath.has(label)) {
      throw cycle([...path.slice(path.findIndex((step) => step.label === label)), { placed }]);
    }
    onPath.add(label);
    path.push({ placed, label, deps: [] });
    return undefined;
  }

  for (const root of wanted) {
    enter(root);
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      const next = step.placed.target.deps[step.deps.length];
      if (next !== undefined) {
        const found = enter(findDep(workspace, next, step.placed.package));
        if (found !== undefined) step.deps.push(found);
        continue;
      }
      nodeByLabel.set(step.label, { ...step.placed, label: step.label, deps: step.deps });
      onPath.delete(step.label);
      path.pop();
    }
  }
  const nodes = wanted.flatMap((placed) => nodeByLabel.get(labelOf(placed)) ?? []);
  return { wanted: nodes, order: [...nodeByLabel.values()] };
}

/**
 * All nodes below `node`, itself not included, each once and before its own deps: the order in
 * which a linker wants libraries, and in which nearer folders win over farther ones.
 */
export function transitiveDeps(node: TargetNode): TargetNode[] {
  const done = new Set<TargetNode>([node]);
  const order: TargetNode[] = [];
  const path = [{ node, next: 0 }];
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    const dep = step.node.deps[step.next];
    step.next += 1;
    if (dep === undefined) {
      order.push(step.node);
      path.pop();
    } else if (!done.has(dep)) {
      done.add(dep);
      path.push({ node: dep, next: 0 });
    }
  }
  return order.slice(0, -1).reverse();
}

/** The target that a dep of the package `from` names. NOT_FOUND with the place of the dep. */
export function findDep(workspace: Workspace, dep: Label, from: string): PlacedTarget {
  try {
    return workspace.find(dep, from);
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "NOT_FOUND") throw error;
    const { file, line, column } = dep.place;
    throw new MeshError("NOT_FOUND", `${file}:${line}:${column}: error: ${error.message}`);
  }
}

function cycle(path: readonly { readonly placed: PlacedTarget }[]): MeshError {
  const place = path[0]?.placed.target.place;
  const where = place === undefined ? "" : `${place.file}:${place.line}:${place.column}: error: `;
  const all = path.map(({ placed }) => placed.target.name);
  const names = all.length > 20 ? [...all.slice(0, 10), "...", ...all.slice(-9)] : all;
  return new MeshError(
    "INVALID_ARGUMENT",
    `${where}Targets depend on each other: ${names.join(" -> ")}.`,
  );
}
