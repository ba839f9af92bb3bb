// Looks up and runs actions on this machine, in the executor that workers have.

import { join } from "node:path";
import { readExecuteResponse } from "../build/executed-action.ts";
import type { ActionExecutor } from "../build/executor.ts";
import type { PreparedAction } from "../build/prepared-action.ts";
import { storeMissing } from "../build/store-blobs.ts";
import { CompletenessCheckingActionCache } from "../cas/completeness.ts";
import type { Store } from "../cas/open-store.ts";
import { makePrivate } from "../cas/private-folder.ts";
import type { ActionRequest } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { anyToolchain, kitOfToolchain } from "../core/house-toolchain.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import {
  ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type Entering, enterAction } from "../worker/enter-action.ts";
import { createExecutor, type Executor, type ExecutorOptions } from "../worker/executor.ts";
import { createLaidRoots, type LaidRoots } from "../worker/laid-roots.ts";
import { createScratchPool, sweepScratch } from "../worker/scratch.ts";
import { type HostTools, openHostTools } from "./host-toolchain.ts";
import { defaultLimits } from "./limits.ts";

/** Where and how it runs actions. */
export interface LocalRunnerOptions {
  /** Folder of the store, which has the scratch folders too. */
  readonly store: string;
  readonly sandbox: "auto" | "none";
  /** Cores of this machine: what one action may use at most. */
  readonly slots: number;
  /** Actions that run at once; others are made ready meanwhile. */
  readonly atOnce: number;
}

/** Another sandbox than the usual one, for each action. */
export type SandboxFor = (action: PreparedAction) => Promise<Sandbox>;

/** Runs what is asked of it, in a store that others opened. */
export interface LocalRunner extends Pick<ActionExecutor, "execute" | "close"> {
  /**
   * Runs another command in the place of the action's own, at the user's terminal; its exit code.
   * FAILED_PRECONDITION with `missing` where an input is gone.
   */
  enter(action: PreparedAction, entering: Entering): Promise<number>;
}

interface Opened {
  readonly executorOf: (action: PreparedAction) => Promise<Executor>;
  readonly enter: (action: PreparedAction, entering: Entering) => Promise<number>;
}

const responseBytesMax = 64 << 20;

/** The sandbox is chosen when an action must run first: FAILED_PRECONDITION where there is none. */
export function createLocalRunner(
  deps: {
    readonly store: Store;
    readonly now: () => number;
    readonly sandboxFor?: SandboxFor | undefined;
  },
  options: LocalRunnerOptions,
): LocalRunner {
  const { store, now } = deps;
  const { blobs } = store;
  const actionCache = new CompletenessCheckingActionCache({ base: store.actions, store: blobs });
  const scratch = join(options.store, "scratch");
  const pool = createScratchPool(scratch);
  const gate = createGate(options.atOnce);
  const tools = openHostTools({ now });
  let opened: Promise<Opened> | undefined;
  let laidRoots: LaidRoots | undefined;

  async function open(): Promise<Opened> {
    makePrivate(scratch);
    await sweepScratch(scratch);
    laidRoots = createLaidRoots(scratch, { now });
    const sandboxFor = deps.sandboxFor ?? (await usualSandbox());
    const runsIn = async (action: PreparedAction) => {
      const sandbox = await sandboxFor(action);
      // Who looks at an action closely wants it laid out anew.
      const kept = deps.sandboxFor === undefined ? laidRoots : undefined;
      return { store: blobs, actionCache, sandbox, scratch: pool, laidRoots: kept, now };
    };
    const limits = defaultLimits(options.slots);
    const base = { worker: "local", messageBytesMax: 4 << 20 };
    const own: ExecutorOptions = { ...base, limits };
    return {
      executorOf: async (action) => createExecutor(await runsIn(action), own),
      enter: async (action, entering) =>
        enterAction(await runsIn(action), own, action.digest, entering),
    };
  }

  async function usualSandbox(): Promise<SandboxFor> {
    const { sandbox: want, store: stateFolder } = options;
    const sandbox = await chooseSandbox({ want, stateFolder });
    return async () => sandbox;
  }

  function keepInputs({ blobByKey }: PreparedAction): Promise<number> {
    return storeMissing(blobs, [...blobByKey.values()]);
  }

  return {
    execute: async (action, { invocation, signal, fresh, events }) => {
      checkToolchain(action, tools);
      const key = { instance: "", action: action.digest };
      const mayKnow = action.build.cache && !fresh;
      const hit = mayKnow ? await actionCache.get(key) : undefined;
      if (hit !== undefined) {
        const result = ActionResult.decode(hit.bytes);
        return { result, cached: true, failure: undefined, message: "" };
      }
      const kept = await keepInputs(action);
      if (kept > 0) events.uploaded(kept);
      opened ??= open();
      const run = await (await opened).executorOf(action);
      const outcome = await gate(() => {
        events.started();
        return run(requestOf(action, invocation), { signal });
      });
      if (outcome.kind === "fault") {
        throw new MeshError(outcome.failure.code, outcome.failure.message);
      }
      const response = await blobs.get(outcome.response, responseBytesMax);
      return readExecuteResponse(ExecuteResponse.decode(response));
    },
    enter: async (action, entering) => {
      await keepInputs(action);
      opened ??= open();
      return (await opened).enter(action, entering);
    },
    close: async () => {
      await pool.close();
      await laidRoots?.close();
    },
  };
}

/** FAILED_PRECONDITION for an action that wants other tools than this machine has. */
function checkToolchain({ build: { id, toolchain } }: PreparedAction, tools: HostTools): void {
  if (toolchain === undefined || toolchain === anyToolchain) return;
  const { names } = tools.recent();
  if (names.includes(toolchain)) return;
  const kit = kitOfToolchain(toolchain);
  const own = names.find((name) => kitOfToolchain(name) === kit) ?? `none of ${kit}`;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `${id} wants the toolchain ${toolchain}; this machine has ${own}. Build with --remote at a ` +
      "node whose workers have it, or change toolchain: in the Builderfile.",
  );
}

/** Lets so many pieces of work run at once; the others wait in order. */
function createGate(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

function requestOf(action: PreparedAction, invocation: string): ActionRequest {
  return {
    action: action.digest,
    instance: "",
    priority: action.build.priority,
    user: "",
    invocation,
    kind: `${action.build.target} ${action.build.mnemonic}`,
    inputRoot: action.digest,
    properties: {},
    mayMerge: false,
    skipCacheLookup: !action.build.cache,
  };
}
