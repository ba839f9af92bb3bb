// How one test target becomes runs: split in shards, given arguments, tried again.

import type { Target } from "../builderfile/model.ts";
import type { BuildAction } from "./build-action.ts";

/** The variables by which a test program learns which part of itself to run, counted from 0. */
const shardVariables = { total: "TEST_TOTAL_SHARDS", index: "TEST_SHARD_INDEX" };
const attemptVariable = "TEST_ATTEMPT";

/** The runs of a test target, one for each of its shards. */
export function testRuns(
  run: BuildAction,
  target: Pick<Target, "shards" | "args" | "command">,
  moreArgs: readonly string[],
): BuildAction[] {
  const args = [...target.args, ...moreArgs];
  const whole = args.length === 0 ? run : { ...run, argv: withArgs(run, target, args) };
  if (target.shards <= 1) return [whole];
  return Array.from({ length: target.shards }, (_, index) => ({
    ...whole,
    id: `${run.id} shard ${index + 1}/${target.shards}`,
    env: {
      ...run.env,
      [shardVariables.total]: String(target.shards),
      [shardVariables.index]: String(index),
    },
  }));
}

/** A shell takes the first word after its script for the script's own name. */
function withArgs(
  { argv }: BuildAction,
  { command }: Pick<Target, "command">,
  args: readonly string[],
): string[] {
  return command === undefined ? [...argv, ...args] : [...argv, "test", ...args];
}

/**
 * A further attempt of a failed test. Another action than the first, so that no cache and no equal
 * action in flight answers for it; and never cached, as a pass after a failure proves little.
 */
export function retryOf(run: BuildAction, attempt: number): BuildAction {
  return { ...run, env: { ...run.env, [attemptVariable]: String(attempt) }, cache: false };
}
