// The run of a test that is a program of its own.

import type { TargetNode } from "../workspace/target-graph.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import { commandOutputs } from "./custom.ts";
import {
  actionOf,
  declaredInputs,
  type PlannedTarget,
  productInputs,
  type RuleDeps,
} from "./rule.ts";

/** A test sees its program, its inputs and what the commands it depends on made. */
export function testRun(
  node: TargetNode,
  program: { readonly argv: readonly string[]; readonly inputs: readonly ActionInput[] },
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): BuildAction {
  const commands = node.deps
    .flatMap((dep) => planned.get(dep.label) ?? [])
    .filter((other) => other.node.target.command !== undefined);
  return {
    ...actionOf(node),
    id: `${node.label} TestRun`,
    mnemonic: "TestRun",
    argv: program.argv,
    inputs: [
      ...program.inputs,
      ...declaredInputs(node, commands, deps),
      ...commands.flatMap(productInputs),
    ],
    ...commandOutputs(node),
  };
}
