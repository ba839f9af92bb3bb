// Questions about any graph, in time that grows with its edges and without recursion: a chain of
// targets may be longer than the stack is deep.

/** The nodes that a node leads to. */
export type Edges<N> = (node: N) => readonly N[];

/** The starts and all that can be reached from them in at most `depth` steps. */
export function reachable<N>(
  starts: Iterable<N>,
  edges: Edges<N>,
  depth = Number.POSITIVE_INFINITY,
): Set<N> {
  const found = new Set(starts);
  let edge = [...found];
  for (let step = 0; step < depth && edge.length > 0; step += 1) {
    const next: N[] = [];
    for (const node of edge) {
      for (const other of edges(node)) {
        if (found.has(other)) continue;
        found.add(other);
        next.push(other);
      }
    }
    edge = next;
  }
  return found;
}

/** The edges among some nodes, the other way round. */
export function reversed<N>(nodes: ReadonlySet<N>, edges: Edges<N>): Edges<N> {
  const sourcesByNode = new Map<N, N[]>();
  for (const node of nodes) {
    for (const other of edges(node)) {
      const sources = sourcesByNode.get(other);
      if (sources === undefined) sourcesByNode.set(other, [node]);
      else sources.push(node);
    }
  }
  return (node) => sourcesByNode.get(node) ?? [];
}

/** A shortest path from any of the starts to any of the ends, both included; empty without one. */
export function somePath<N>(starts: ReadonlySet<N>, ends: ReadonlySet<N>, edges: Edges<N>): N[] {
  const cameFrom = new Map<N, N | undefined>();
  for (const start of starts) cameFrom.set(start, undefined);
  // A map can be walked while it grows, which makes it the queue too.
  for (const node of cameFrom.keys()) {
    if (ends.has(node)) {
      const path: N[] = [];
      for (let at: N | undefined = node; at !== undefined; at = cameFrom.get(at)) path.push(at);
      return path.reverse();
    }
    for (const other of edges(node)) if (!cameFrom.has(other)) cameFrom.set(other, node);
  }
  return [];
}

/** Every node on any path from the starts to the ends: once down, once up, however many paths. */
export function allPaths<N>(starts: ReadonlySet<N>, ends: ReadonlySet<N>, edges: Edges<N>): Set<N> {
  const below = reachable(starts, edges);
  return reachable(below.intersection(ends), reversed(below, edges));
}
