// `--remote=auto`: a node where it helps, this machine where it does not. An action that waits in
// the node's queue while slots here are idle runs at both places, and the first end counts: actions
// are pure, so both are right. Where the node cannot be reached, this machine does everything.

import { type Digest, digestKey } from "../core/digest.ts";
import { failureOf, isRetryable } from "../core/error.ts";
import { missingOf } from "../wire/status.ts";
import type { ActionExecutor, ExecutedAction } from "./executor.ts";
import type { PreparedAction } from "./prepared-action.ts";

type ExecuteCall = Parameters<ActionExecutor["execute"]>[1];

/** What a race takes. */
export interface RacingDeps {
  readonly remote: () => Promise<ActionExecutor>;
  /** Opened when it is first needed. */
  readonly local: () => Promise<ActionExecutor>;
  /** Calls `then` after so many ms unless the returned function is called before. */
  readonly after: (ms: number, then: () => void) => () => void;
  /** Told once, when the node is given up, with the reason. */
  readonly away: (reason: string) => void;
}

/** How a race is run. */
export interface RacingOptions {
  /** Actions at once on this machine, ≥ 1. */
  readonly slots: number;
  /** How long an action waits in the node's queue before it may run here too, in ms. */
  readonly patienceMs: number;
}

/** Rounds of fetching inputs from the other place before an action is given up. */
const fetchesMax = 3;

/** An executor of two places. */
export function createRacingExecutor(deps: RacingDeps, options: RacingOptions): ActionExecutor {
  const madeHere = new Set<string>();
  let runningHere = 0;
  let isAway = false;

  async function here(action: PreparedAction, call: ExecuteCall): Promise<ExecutedAction> {
    runningHere += 1;
    try {
      const done = await executeAt(await deps.local(), action, call, fromNode);
      for (const file of done.result.outputFiles) keep(file.digest?.hash);
      for (const folder of done.result.outputDirectories) keep(folder.treeDigest?.hash);
      return done;
    } finally {
      runningHere -= 1;
    }
  }

  function keep(hash: string | undefined): void {
    if (hash !== undefined) madeHere.add(hash);
  }

  /** The node is given up for good: a build that changes its mind all the time helps nobody. */
  function giveUp(error: unknown): void {
    if (!isAway) deps.away(failureOf(error).message);
    isAway = true;
  }

  async function fromNode(digest: Digest): Promise<Uint8Array> {
    return (await deps.remote()).get(digest);
  }

  async function fromHere(digest: Digest): Promise<Uint8Array> {
    return (await deps.local()).get(digest);
  }

  async function there(action: PreparedAction, call: ExecuteCall): Promise<ExecutedAction> {
    return executeAt(await deps.remote(), action, call, fromHere);
  }

  function race(action: PreparedAction, call: ExecuteCall): Promise<ExecutedAction> {
    const { promise, resolve, reject } = Promise.withResolvers<ExecutedAction>();
    const stops = { node: new AbortController(), here: new AbortController() };
    const stop = () => {
      stops.node.abort();
      stops.here.abort();
    };
    call.signal.addEventListener("abort", stop, { once: true });
    let second: Promise<ExecutedAction> | undefined;
    let isQueued = true;
    const runHere = () => {
      second ??= here(action, { ...call, signal: stops.here.signal });
      return second;
    };
    const look = () => {
      if (!isQueued || second !== undefined) return;
      if (runningHere >= options.slots) cancel = deps.after(options.patienceMs, look);
      else runHere().then(resolve, () => undefined);
    };
    let cancel = deps.after(options.patienceMs, look);
    const started = () => {
      isQueued = false;
      call.events.started();
    };
    const events = { ...call.events, started };
    there(action, { ...call, events, signal: stops.node.signal }).then(
      resolve,
      (error: unknown) => {
        if (call.signal.aborted || !isRetryable(failureOf(error).code)) {
          // What is wrong with the action itself is wrong here too; a race under way may still win.
          if (second === undefined) reject(error);
          else second.catch(() => reject(error));
          return;
        }
        giveUp(error);
        runHere().then(resolve, reject);
      },
    );
    return promise.finally(() => {
      cancel();
      call.signal.removeEventListener("abort", stop);
      stop();
    });
  }

  return {
    execute: (action, call) => (isAway ? here(action, call) : race(action, call)),
    get: (digest) => (isAway || madeHere.has(digest.hash) ? fromHere(digest) : either(digest)),
    download: async (digest, path, file) => {
      const first = isAway || madeHere.has(digest.hash) ? deps.local : deps.remote;
      const other = first === deps.local ? deps.remote : deps.local;
      try {
        await (await first()).download(digest, path, file);
      } catch (error) {
        if (failureOf(error).code !== "NOT_FOUND") throw error;
        await (await other()).download(digest, path, file);
      }
    },
    // Both are closed by whoever opened them.
    close: async () => {},
  };

  async function either(digest: Digest): Promise<Uint8Array> {
    try {
      return await fromNode(digest);
    } catch (error) {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      return fromHere(digest);
    }
  }
}

/** Executes at one place; inputs that it lacks and the other has are carried over. */
async function executeAt(
  executor: ActionExecutor,
  action: PreparedAction,
  call: ExecuteCall,
  fetch: (digest: Digest) => Promise<Uint8Array>,
): Promise<ExecutedAction> {
  const blobByKey = new Map(action.blobByKey);
  for (let round = 1; ; round += 1) {
    try {
      return await executor.execute({ ...action, blobByKey }, call);
    } catch (error) {
      const missing = missingOf(error).filter((digest) => !blobByKey.has(digestKey(digest)));
      if (missing.length === 0 || round >= fetchesMax) throw error;
      for (const digest of missing) {
        const bytes = await fetch(digest).catch(() => undefined);
        if (bytes === undefined) throw error;
        blobByKey.set(digestKey(digest), { digest, bytes });
      }
    }
  }
}
