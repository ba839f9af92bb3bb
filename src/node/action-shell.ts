// `bldr shell`: what an action needs is built, and then the user is let in where it would run.

import { openHistory } from "../build/action-history.ts";
import type { BuildEvent } from "../build/build-event.ts";
import { BuildRun } from "../build/build-run.ts";
import type { ActionExecutor } from "../build/executor.ts";
import { openState } from "../build/state.ts";
import { openToolchain } from "../build/toolchain.ts";
import { hint } from "../builderfile/suggest.ts";
import { MeshError } from "../core/error.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { planBuild } from "../rules/plan.ts";
import { shellLine } from "../rules/shell-line.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { labelOf, type PlacedTarget, type Workspace } from "../workspace/workspace.ts";
import type { LocalExecutor } from "./local-executor.ts";

/** Which action, and what to do there. */
export interface ShellRequest {
  readonly workspace: Workspace;
  readonly target: PlacedTarget;
  /** Such as `CppCompile src/main.cpp`; undefined for the last action of the target. */
  readonly action: string | undefined;
  /** Empty for a shell. */
  readonly command: readonly string[];
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Names the tools. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What a shell works with. */
export interface ShellDeps {
  readonly executor: LocalExecutor;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
  /** Called before the user is let in, with the action and the file that holds its command. */
  readonly entering: (id: string, script: string) => void;
}

const script = ".builder-command";

/**
 * Builds what the action needs, lets the user in, and resolves with the exit code of what ran
 * there; undefined where the inputs could not be built, which events have told.
 */
export async function enterShell(
  deps: ShellDeps,
  request: ShellRequest,
): Promise<number | undefined> {
  const { workspace, target, env } = request;
  const { root } = workspace;
  const state = openState(root, deps.now);
  const isTest = target.target.type === "test";
  const options = { test: isTest, env, testArgs: [] };
  const plan = planBuild(workspace, state, [target], options);
  const chosen = chooseAction(plan.actions, labelOf(target), request.action);
  // Never answered from what is known: it is to be looked into.
  const entered: BuildAction = { ...chosen, cache: false };
  let exitCode: number | undefined;
  const door: ActionExecutor = {
    ...deps.executor,
    execute: async (action) => {
      deps.entering(chosen.id, script);
      exitCode = await deps.executor.enter(action, {
        argv: shellWords(request.command),
        env: { ...terminalOf(env), PS1: promptOf(chosen.id) },
        script: { name: script, text: `#!/bin/sh\nexec ${shellLine(chosen.argv)}\n` },
      });
      const result = ActionResult.fromPartial({ exitCode: 1 });
      return { result, cached: false, failure: undefined, message: "" };
    },
  };
  const history = openHistory(root);
  const run = new BuildRun(
    {
      ...{ root, state, history, now: deps.now, toolchain: openToolchain(state, deps.now) },
      sourceInputs: new Map(),
      executorFor: async (action) => (action === entered ? door : deps.executor),
      emit: (event) => {
        // What happens at the door is the user's own doing and no event of the build.
        if (!("id" in event) || event.id !== chosen.id) deps.emit(event);
      },
    },
    {
      ...{ jobs: request.jobs, keepGoing: false, flakyRetries: 0, download: "none" },
      signal: request.signal,
    },
    { ...plan, wanted: [], testsByLabel: new Map(), actions: [...makersOf(entered), entered] },
  );
  await run.finish();
  state.save();
  return exitCode;
}

/** INVALID_ARGUMENT with the names there are, where `name` is none of them. */
function chooseAction(
  actions: readonly BuildAction[],
  label: string,
  name: string | undefined,
): BuildAction {
  const own = actions.filter(({ target }) => target === label);
  const nameOf = ({ id }: BuildAction) => id.slice(label.length + 1);
  const last = own.at(-1);
  if (last === undefined) {
    const message = `${label} has no action of its own to look into.`;
    throw new MeshError("INVALID_ARGUMENT", message);
  }
  if (name === undefined) return last;
  const exact = own.find((action) => nameOf(action) === name || action.id === name);
  if (exact !== undefined) return exact;
  const names = own.map(nameOf);
  const shown = names.length > 20 ? [...names.slice(0, 20), "…"] : names;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${label} has no action ${JSON.stringify(name)}.${hint(name, names)} It has: ${shown.join(", ")}.`,
  );
}

/** Every action whose outputs an action takes, directly or not, each once. */
function makersOf(action: BuildAction): BuildAction[] {
  const found = new Set<BuildAction>();
  const rest = [action];
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    for (const input of at.inputs) {
      if (input.kind !== "made" || found.has(input.by)) continue;
      found.add(input.by);
      rest.push(input.by);
    }
  }
  return [...found];
}

/** What of the user's terminal is of use inside. */
function terminalOf(env: ShellRequest["env"]): Record<string, string> {
  const term = env["TERM"];
  return term === undefined ? {} : { TERM: term };
}

function shellWords([program, ...rest]: readonly string[]): [string, ...string[]] {
  return program === undefined ? ["/bin/sh"] : [program, ...rest];
}

/** Shells expand their prompts: what would be expanded is left out. */
function promptOf(id: string): string {
  const plain = id.replaceAll(/[^\w@%+=:,./ -]/g, "_");
  return `(${plain}) $ `;
}
