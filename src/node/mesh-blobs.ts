// What a serving node has of the mesh's blobs and results: its own store first, then the others'.

import type { CompleteActionCache } from "../cas/completeness.ts";
import { createMeshActionCache } from "../cas/mesh-action-cache.ts";
import { createMeshBlobStore, type MeshBlobStore } from "../cas/mesh-blob-store.ts";
import type { Store } from "../cas/open-store.ts";
import { type BlobExchange, lanBlobOptions, startBlobExchange } from "../mesh/blob-exchange.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Member } from "./member.ts";

/** Stores that span the mesh. */
export interface MeshBlobs {
  readonly blobs: MeshBlobStore;
  readonly actions: CompleteActionCache;
  readonly exchange: BlobExchange;
}

/** Answers other hosts from `store` and asks them for what it lacks. */
export async function startMeshBlobs(
  deps: {
    readonly log: Log;
    readonly now: () => number;
    readonly member: Member;
    readonly store: Store;
  },
  options: { readonly blobBytesMax: number },
): Promise<MeshBlobs> {
  const { member, store, log, now } = deps;
  const exchange = await startBlobExchange(
    { mesh: member.mesh, store: store.blobs, actions: store.actions, log, now },
    { ...lanBlobOptions, ...options, serves: true },
  );
  const self = member.mesh.peerId;
  const others = { peers: exchange, self, hosts: () => member.core.liveHosts };
  const blobs = createMeshBlobStore({ ...others, store: store.blobs });
  const actions = createMeshActionCache({ ...others, local: store.actions, store: blobs });
  return { blobs, actions, exchange };
}
