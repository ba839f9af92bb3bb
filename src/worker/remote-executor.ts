// Runs actions that another host accepted: its inputs come here first, what was made goes there
// before the end is told. For actions of this host, fills in what only other hosts have.

import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import type { PeerBlobs } from "../cas/peer-blobs.ts";
import type { PeerFetch } from "../cas/peer-fetch.ts";
import type { ActionRequest, Outcome, PeerId } from "../core/action.ts";
import { ownersAmong } from "../core/blob-owners.ts";
import { failureOf, isRetryable, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Executor } from "./executor.ts";
import { fetchInputs } from "./remote-inputs.ts";
import { deliverOutputs, tellResult } from "./remote-outputs.ts";

/** What a worker exchanges blobs with. */
export interface RemoteExecutorDeps {
  readonly peerBlobs: PeerBlobs;
  /** Brings inputs into the store. */
  readonly fetcher: PeerFetch;
  /** Peer id of the node that serves on this host and shares its store. */
  readonly home: PeerId;
  /** The host's store and cache, as every process of it has them. */
  readonly store: BlobStore;
  readonly actions: ActionCache;
  /** Every live node that serves, home included. */
  readonly hosts: () => readonly PeerId[];
  readonly log: Log;
  readonly now: () => number;
}

/** How much is done for other hosts. */
export interface RemoteExecutorOptions {
  /** Copy what was made, and its result, to an owner of the action, after the end is told. */
  readonly replicate: boolean;
  /** How often fetching and delivering are tried; every pause is twice the one before. */
  readonly tries: number;
  /** First pause between two tries, in ms. */
  readonly pauseMs: number;
}

/** A quarter of a minute in all: so long a host may take to be back. */
export const remoteExecutorDefaults: RemoteExecutorOptions = {
  replicate: true,
  tries: 6,
  pauseMs: 500,
};

/** Bound: results on their way to owners; further ones are not copied. */
const copiesAtOnce = 16;

/** An executor; `call.from` is the node that accepted the action, unset for this host's own. */
export type RemoteExecutor = (
  request: ActionRequest,
  call: Parameters<Executor>[1] & { readonly from?: PeerId },
) => Promise<Outcome>;

/** Wraps a worker's executor. Like it, never rejects. */
export function createRemoteExecutor(
  execute: Executor,
  deps: RemoteExecutorDeps,
  options: RemoteExecutorOptions = remoteExecutorDefaults,
): RemoteExecutor {
  const { home, store, fetcher, peerBlobs, hosts } = deps;
  let copies = 0;

  async function run(
    request: ActionRequest,
    call: Parameters<Executor>[1],
    from: PeerId | undefined,
  ): Promise<Outcome> {
    const { signal } = call;
    const begunMs = deps.now();
    try {
      const inputs = () => fetchInputs({ store, fetcher }, request.action, { from, signal });
      await patiently(inputs, signal);
    } catch (error) {
      // What makes no sense is refused by the executor, in words for the client.
      if (failureOf(error).code !== "INVALID_ARGUMENT") return fault(error, "fetching inputs");
    }
    const outcome = await execute(request, { ...call, begunMs });
    if (outcome.kind === "fault") return outcome;
    const executedMs = performance.now();
    const made = { key: keyOf(request), response: outcome.response };
    try {
      if (from !== undefined) {
        await patiently(() => deliverOutputs(deps, made, { to: from, signal }), signal);
      }
    } catch (error) {
      return fault(error, `delivering to ${from}`);
    }
    if (outcome.exitCode === 0) copyToOwner(made, from);
    const { spans } = outcome;
    if (spans === undefined) return outcome;
    const deliveryMs = Math.round(performance.now() - executedMs);
    return { ...outcome, spans: { ...spans, storeMs: spans.storeMs + deliveryMs } };
  }

  /** A host that is busy, cut off or being started again for a moment should not cost a run. */
  async function patiently(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await work();
        return;
      } catch (error) {
        const { code } = failureOf(error);
        const mayPass = isRetryable(code) || code === "DEADLINE_EXCEEDED";
        if (!mayPass || signal.aborted || attempt >= options.tries) throw error;
        await pause(options.pauseMs * 2 ** (attempt - 1), signal);
      }
    }
  }

  /** Nobody waits for it: this host has it all, and looks after it. */
  function copyToOwner(made: Parameters<typeof deliverOutputs>[1], from: PeerId | undefined): void {
    if (!options.replicate || copies >= copiesAtOnce) return;
    const owner = ownerBesides(made.key.action, [home, from]);
    if (owner === undefined) return;
    copies += 1;
    // Where another host has the blobs already, two do, and the owner need only know of them.
    const copied = from === undefined ? deliverOutputs : tellResult;
    copied(deps, made, { to: owner })
      .catch((error: unknown) => {
        deps.log("debug", `A result was not copied to ${owner}: ${failureOf(error).message}`);
      })
      .finally(() => {
        copies -= 1;
      });
  }

  function ownerBesides(
    action: ActionRequest["action"],
    holders: readonly (PeerId | undefined)[],
  ): PeerId | undefined {
    const owners = ownersAmong(action, hosts());
    return owners.find((peer) => !holders.includes(peer) && peerBlobs.usable(peer));
  }

  return (request, { from, ...call }) => {
    const foreign = from === undefined || from === home ? undefined : from;
    const alone = foreign === undefined && hosts().every((peer) => peer === home);
    return alone ? execute(request, call) : run(request, call, foreign);
  };
}

function keyOf(request: ActionRequest) {
  return { instance: request.instance, action: request.action };
}

function fault(error: unknown, doing: string): Outcome {
  const { message } = failureOf(error);
  return {
    kind: "fault",
    failure: { code: "UNAVAILABLE", message: `This worker failed while ${doing}: ${message}` },
  };
}

/** Rejects once the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new MeshError("CANCELLED", "The action was cancelled."));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
