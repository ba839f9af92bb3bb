// The results of a mesh: this host's cache, then the owners' of the action. What comes from
// elsewhere is served only if all that it names can be had, like everything.

import type { PeerId } from "../core/action.ts";
import { ownersAmong } from "../core/blob-owners.ts";
import type { ActionCache, ActionKey, CachedResult } from "./action-cache.ts";
import type { BlobStore } from "./blob-store.ts";
import {
  type CompleteActionCache,
  CompletenessCheckingActionCache,
  type CompleteResult,
} from "./completeness.ts";
import type { PeerFetchDeps } from "./peer-fetch.ts";

/** How long other hosts' caches are waited for. */
export interface MeshActionCacheOptions {
  /** An owner that does not answer for so long, in ms, has no result. */
  readonly askMs: number;
  /** An owner that does not answer for so long, in ms, is not told of a result. */
  readonly tellMs: number;
}

/** A miss costs a round trip, half a second where an owner has just died. */
export const meshActionDefaults: MeshActionCacheOptions = { askMs: 450, tellMs: 2000 };

/** Wraps this host's cache `local`; `store` is the mesh's, `peers` serve from `local` alone. */
export function createMeshActionCache(
  deps: Omit<PeerFetchDeps, "store"> & {
    readonly local: ActionCache;
    readonly store: BlobStore;
  },
  options: MeshActionCacheOptions = meshActionDefaults,
): CompleteActionCache {
  const { local, store, peers, self } = deps;
  const checked = new CompletenessCheckingActionCache({ base: local, store });

  function owners({ action }: ActionKey): readonly PeerId[] {
    const hosts = deps.hosts();
    if (hosts.length < 2) return [];
    return ownersAmong(action, hosts).filter((peer) => peer !== self && peers.usable(peer));
  }

  async function get(key: ActionKey): Promise<CompleteResult | undefined> {
    const here = await checked.get(key);
    if (here !== undefined) return here;
    const asked = owners(key).map((peer) => from(peer, key));
    // Whoever has it first; a miss is known once all have answered.
    const found = await Promise.any(asked).catch(() => undefined);
    if (found !== undefined) await local.put(key, found.bytes);
    return found;
  }

  /** Rejects for a miss. */
  async function from(peer: PeerId, key: ActionKey): Promise<CompleteResult> {
    const result = await peers.getResult(peer, key, { patienceMs: options.askMs });
    const complete = result && (await completed(key, result));
    if (complete === undefined) throw new Error("A miss.");
    return complete;
  }

  function completed(key: ActionKey, result: CachedResult): Promise<CompleteResult | undefined> {
    const base = { get: async () => result, put: async () => undefined };
    // What does not decode is no result.
    return new CompletenessCheckingActionCache({ base, store }).get(key).catch(() => undefined);
  }

  async function put(key: ActionKey, bytes: Uint8Array): Promise<void> {
    await local.put(key, bytes);
    const call = { patienceMs: options.tellMs };
    await Promise.allSettled(owners(key).map((peer) => peers.putResult(peer, key, bytes, call)));
  }

  return { get, put };
}
