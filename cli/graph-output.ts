// Graphs as text: a tree for people, DOT for pictures, JSON lines for programs.

/** A node and the ids of those it leads to. */
export interface DrawnNode {
  readonly id: string;
  readonly deps: readonly string[];
}

const indentMax = 40;

/**
 * An indented tree below each root. What was shown before is not shown again: its line ends with
 * `(above)` where it leads to something. Beyond 40 levels the depth is written as a number.
 */
export function drawTree(roots: readonly string[], nodes: readonly DrawnNode[]): string {
  const nodeById = new Map(nodes.map((node) => [node.id, node]));
  const shown = new Set<string>();
  const lines: string[] = [];
  const open = roots.map((id) => ({ id, depth: 0 })).reverse();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { id, depth } = next;
    const deps = nodeById.get(id)?.deps ?? [];
    const seen = shown.has(id);
    // A root that stands in another's tree needs no line of its own.
    if (seen && depth === 0) continue;
    shown.add(id);
    const indent = "  ".repeat(Math.min(depth, indentMax));
    const level = depth > indentMax ? `(${depth}) ` : "";
    lines.push(`${indent}${level}${oneLine(id)}${seen && deps.length > 0 ? " (above)" : ""}\n`);
    if (seen) continue;
    for (const dep of deps.toReversed()) open.push({ id: dep, depth: depth + 1 });
  }
  return lines.join("");
}

/** A graph in the DOT language; edges to nodes that are not among `nodes` are left out. */
export function drawDot(name: string, nodes: readonly DrawnNode[]): string {
  const ids = new Set(nodes.map(({ id }) => id));
  const lines = nodes.flatMap(({ id, deps }) => [
    `  ${dotText(id)};\n`,
    ...deps.filter((dep) => ids.has(dep)).map((dep) => `  ${dotText(id)} -> ${dotText(dep)};\n`),
  ]);
  return `digraph ${name} {\n${lines.join("")}}\n`;
}

/** One JSON object a line. */
export function jsonLines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

function dotText(text: string): string {
  return `"${oneLine(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function oneLine(text: string): string {
  return text.replaceAll("\n", "\\n");
}
