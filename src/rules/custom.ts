// `command` targets as actions: shell lines over declared inputs, with declared outputs.

import { posix } from "node:path";
import { fixedPart, isGlob } from "../workspace/source-files.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { BuildAction } from "./build-action.ts";
import {
  actionOf,
  declaredInputs,
  outputGlobs,
  type PlannedTarget,
  productInputs,
  type RuleDeps,
} from "./rule.ts";

/** Plans a custom target, or a test with a command. Outputs of its deps are among its inputs. */
export function planCustom(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { target } = node;
  const below = node.deps.flatMap((dep) => planned.get(dep.label) ?? []);
  const isTest = target.type === "test";
  const mnemonic = isTest ? "TestRun" : "Custom";
  const action: BuildAction = {
    ...actionOf(node),
    id: `${node.label} ${mnemonic}`,
    mnemonic,
    argv: ["/bin/sh", "-e", "-c", target.command ?? ""],
    workingDirectory: node.package,
    inputs: [...declaredInputs(node, below, deps), ...below.flatMap(productInputs)],
    ...commandOutputs(node),
  };
  const actions = isTest ? [] : [action];
  return {
    node,
    language: undefined,
    actions,
    products: actions,
    finals: isTest ? [] : outputGlobs(node).map((glob) => ({ made: glob, path: glob })),
    test: isTest ? action : undefined,
    hasCpp: false,
  };
}

/** A glob among the outputs is asked for as the folder before its first wildcard. */
export function commandOutputs(node: TargetNode): Pick<BuildAction, "outputs" | "keep"> {
  const outputs = node.target.outputs.map((glob) => {
    const path = posix.join(node.package, isGlob(glob) ? fixedPart(glob) : glob);
    return path === "." ? "" : path;
  });
  return { outputs: [...new Set(outputs)], keep: outputGlobs(node) };
}
