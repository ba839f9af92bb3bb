// What an action made, from this host's store to another host's: outputs first, then what names
// them, so that nothing there ever names what is not there.

import type { ActionCache, ActionKey } from "../cas/action-cache.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import { namedBlobs } from "../cas/completeness.ts";
import type { PeerBlobs } from "../cas/peer-blobs.ts";
import { putLacking } from "../cas/put-lacking.ts";
import type { PeerId } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

/** What outputs are delivered with. */
export interface RemoteOutputsDeps {
  readonly store: BlobStore;
  readonly actions: ActionCache;
  readonly peerBlobs: PeerBlobs;
}

/** Bound: bytes of an ExecuteResponse. */
const responseBytesMax = 64 << 20;

/**
 * Makes the host `to` have the response, everything it names and, where this host caches the
 * result, the cached result. Rejects as `PeerBlobs` does.
 */
export async function deliverOutputs(
  deps: RemoteOutputsDeps,
  made: { readonly key: ActionKey; readonly response: Digest },
  call: { readonly to: PeerId; readonly signal?: AbortSignal },
): Promise<void> {
  const { store, peerBlobs } = deps;
  const { to, ...rest } = call;
  const { result } = ExecuteResponse.decode(await store.get(made.response, responseBytesMax));
  const named = result && (await namedBlobs(store, result, made.response.fn));
  if (result !== undefined && named === undefined) {
    throw new MeshError("UNAVAILABLE", "An output folder is gone from the store. Run it again.");
  }
  await putLacking(peerBlobs, to, [...(named ?? []), made.response], rest);
  const cached = result && (await cachedHere(deps.actions, made.key, result));
  if (cached !== undefined) await peerBlobs.putResult(to, made.key, cached, rest);
}

/** Makes the host `to` know the result alone, as this host caches it: others have its blobs. */
export async function tellResult(
  deps: RemoteOutputsDeps,
  made: { readonly key: ActionKey },
  call: { readonly to: PeerId },
): Promise<void> {
  const found = await deps.actions.get(made.key);
  if (found !== undefined) await deps.peerBlobs.putResult(call.to, made.key, found.bytes);
}

/** The result as this host caches it; undefined where it does not, as of a failure. */
async function cachedHere(
  actions: ActionCache,
  key: ActionKey,
  result: ActionResult,
): Promise<Uint8Array | undefined> {
  const found = await actions.get(key);
  if (found === undefined) return undefined;
  // Another one may have run the action as well; what is told of must be what was delivered.
  const same = Buffer.compare(found.bytes, encodeBytes(ActionResult, result)) === 0;
  return same ? found.bytes : undefined;
}
