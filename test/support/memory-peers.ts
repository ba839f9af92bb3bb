// Other hosts in memory, for tests of who is asked for what: each may be well, dead, slow, full, or
// caught lying.

import type { ActionKey } from "../../src/cas/action-cache.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { PeerBlobs, PeerCall } from "../../src/cas/peer-blobs.ts";
import type { PeerId } from "../../src/core/action.ts";
import { type Digest, digestKey } from "../../src/core/digest.ts";
import { type Code, MeshError } from "../../src/core/error.ts";

/** How a host behaves. `slow` answers when its gate is opened. */
export type Mood = "well" | "dead" | "slow" | "full" | "lying";

/** One other host. */
export interface MemoryPeer {
  readonly store: MemoryBlobStore;
  readonly actions: MemoryActionCache;
  mood: Mood;
}

/** What was asked, as text: `fetch b 3`. */
export interface MemoryPeers extends PeerBlobs {
  readonly asked: string[];
  at(peer: PeerId): MemoryPeer;
  /** Lets slow hosts answer. */
  open(): void;
}

/** Hosts named `names`; `own` is the asking host's store. */
export function createMemoryPeers(own: MemoryBlobStore, names: readonly PeerId[]): MemoryPeers {
  const asked: string[] = [];
  const liars = new Set<PeerId>();
  const gate = Promise.withResolvers<void>();
  const peerByName = new Map<PeerId, MemoryPeer>(
    names.map((name) => {
      const actions = new MemoryActionCache({ now: () => 0 });
      return [name, { store: new MemoryBlobStore(), actions, mood: "well" }];
    }),
  );

  function at(name: PeerId): MemoryPeer {
    const found = peerByName.get(name);
    if (found === undefined) throw fail("UNAVAILABLE", name);
    return found;
  }

  async function begin(what: string, name: PeerId, call: PeerCall = {}): Promise<MemoryPeer> {
    asked.push(`${what} ${name}`);
    const peer = at(name);
    if (call.signal?.aborted) throw fail("CANCELLED", name);
    if (peer.mood === "dead") throw fail("UNAVAILABLE", name);
    if (peer.mood === "lying") {
      liars.add(name);
      throw fail("DATA_LOSS", name);
    }
    if (peer.mood === "slow") {
      call.onStall?.();
      const aborted = new Promise<never>((_, reject) => {
        call.signal?.addEventListener("abort", () => reject(fail("CANCELLED", name)));
      });
      const late =
        call.patienceMs === undefined
          ? []
          : [Promise.reject<never>(fail("DEADLINE_EXCEEDED", name))];
      await Promise.race([gate.promise, aborted, ...late]);
    }
    return peer;
  }

  return {
    asked,
    at,
    open: () => gate.resolve(),
    usable: (name) => !liars.has(name),
    fetch: async (name, digests, call) => {
      const { store } = await begin(`fetch ${digests.length}`, name, call);
      const missing = await store.missing(digests);
      const lacking = new Set(missing.map(digestKey));
      for (const digest of digests) {
        if (!lacking.has(digestKey(digest))) await own.write(digest, store.read(digest));
      }
      return missing;
    },
    ask: async (name, digests, call) =>
      (await begin(`ask ${digests.length}`, name, call)).store.missing(digests),
    put: async (name, digests: readonly Digest[], call) => {
      const { store, mood } = await begin(`put ${digests.length}`, name, call);
      if (mood === "full") throw fail("RESOURCE_EXHAUSTED", name);
      for (const digest of digests) await store.write(digest, own.read(digest));
    },
    getResult: async (name, key: ActionKey, call) =>
      (await begin("get", name, call)).actions.get(key),
    putResult: async (name, key: ActionKey, bytes, call) => {
      const peer = await begin("result", name, call);
      await peer.actions.put(key, bytes);
    },
  };
}

function fail(code: Code, name: PeerId): MeshError {
  return new MeshError(code, `Peer ${name} failed.`);
}
