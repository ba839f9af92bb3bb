// `bldr graph`: what would be built, as targets or as actions.

import type { Command } from "commander";
import type { BuildAction } from "../../src/rules/build-action.ts";

interface GraphFlags {
  readonly output: "text" | "dot" | "json";
  readonly actions?: boolean;
}

/** Adds the command. */
export function addGraphCommand(program: Command): void {
  program
    .command("graph")
    .argument("[targets...]", "app, //folder:app, //folder/...; all of this folder's when left out")
    .description("Print what depends on what in a build.")
    .addOption(
      program
        .createOption("--output <form>", "how to print it")
        .choices(["text", "dot", "json"])
        .default("text"),
    )
    .option("--actions", "the actions of the build instead of its targets")
    .action((names: string[], flags: GraphFlags) => graph(names, flags));
}

async function graph(names: readonly string[], { output, actions }: GraphFlags): Promise<void> {
  const { planOf } = await import("../planned-build.ts");
  const { drawDot, drawTree, jsonLines } = await import("../graph-output.ts");
  const { workspace, wanted, plan } = planOf(names.length > 0 ? names : [":*"], actions);
  if (plan !== undefined) {
    const nodes = plan.actions.map((action) => ({ ...facts(action), deps: makers(action) }));
    const used = new Set(nodes.flatMap(({ deps }) => deps));
    const roots = nodes.map(({ id }) => id).filter((id) => !used.has(id));
    if (output === "json") process.stdout.write(jsonLines(nodes));
    else if (output === "dot") process.stdout.write(drawDot("actions", nodes));
    else process.stdout.write(drawTree(roots, nodes));
    return;
  }
  const { targetGraph } = await import("../../src/workspace/target-graph.ts");
  const { order } = targetGraph(workspace, wanted);
  const { labelOf } = await import("../../src/workspace/workspace.ts");
  const nodes = order.map(({ label, target, deps }) => ({
    ...{ id: label, type: target.type },
    deps: deps.map((dep) => dep.label),
  }));
  if (output === "json") process.stdout.write(jsonLines(nodes));
  else if (output === "dot") process.stdout.write(drawDot("targets", nodes));
  else process.stdout.write(drawTree(wanted.map(labelOf), nodes));
}

function facts({ id, target, mnemonic, argv, inputs, outputs }: BuildAction) {
  const sources = inputs.flatMap((input) => (input.kind === "source" ? [input.path] : []));
  return { id, target, mnemonic, argv, inputs: sources, outputs };
}

/** The actions that make an action's inputs, each once. */
function makers({ inputs }: BuildAction): string[] {
  return [...new Set(inputs.flatMap((input) => (input.kind === "made" ? [input.by.id] : [])))];
}
