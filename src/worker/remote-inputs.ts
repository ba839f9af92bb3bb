// The inputs of an action, from other hosts into this host's store: Action, Command, the tree level
// by level, then its files, a few batches in all.

import type { BlobStore } from "../cas/blob-store.ts";
import { decodeDirectory } from "../cas/directory-message.ts";
import { treeBounds } from "../cas/load-folders.ts";
import type { FetchCall, PeerFetch } from "../cas/peer-fetch.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { type Failure, failureOf, MeshError } from "../core/error.ts";
import {
  Action,
  type Directory,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";

/** What an action's inputs are brought here with. */
export interface RemoteInputsDeps {
  readonly store: BlobStore;
  readonly fetcher: PeerFetch;
}

/** Bound: bytes of an Action message that is fetched. */
const messageBytesMax = 4 << 20;

/**
 * Brings here what the store lacks of an action. UNAVAILABLE where something is missing and a peer
 * that may have it did not answer; CANCELLED. What nobody has, or makes no sense, is left to the
 * executor, which tells the client.
 */
export async function fetchInputs(
  deps: RemoteInputsDeps,
  action: Digest,
  call: FetchCall,
): Promise<void> {
  if (!(await bring(deps, [action], call))) return;
  const { commandDigest, inputRootDigest } = await readAction(deps.store, action);
  const command = fromWireDigest(commandDigest, action.fn, "Action.command_digest");
  const root = fromWireDigest(inputRootDigest, action.fn, "Action.input_root_digest");
  await bring(deps, [command, root], call);
  await bring(deps, await bringFolders(deps, root, call), call);
}

/** Brings every folder below `root`; answers the files they name. */
async function bringFolders(
  deps: RemoteInputsDeps,
  root: Digest,
  call: FetchCall,
): Promise<readonly Digest[]> {
  const files = new Map<string, Digest>();
  const seen = new Set([digestKey(root)]);
  let messageBytes = 0;
  let level: Digest[] = [root];
  // Whatever is beyond the bounds is not fetched: the executor refuses such a tree.
  for (let depth = 0; depth <= treeBounds.depthMax && level.length > 0; depth += 1) {
    const below: Digest[] = [];
    for (const digest of level) {
      const folder = await readFolder(deps.store, digest);
      for (const file of folder?.files ?? []) {
        const content = fromWireDigest(file.digest, root.fn, file.name);
        files.set(digestKey(content), content);
      }
      for (const child of folder?.directories ?? []) {
        const content = fromWireDigest(child.digest, root.fn, child.name);
        if (seen.has(digestKey(content))) continue;
        seen.add(digestKey(content));
        messageBytes += content.sizeBytes;
        below.push(content);
      }
    }
    if (messageBytes > treeBounds.messageBytesMax || files.size > treeBounds.entriesMax) return [];
    await bring(deps, below, call);
    level = below;
  }
  return [...files.values()];
}

/** False where some of it is nowhere. */
async function bring(
  { fetcher }: RemoteInputsDeps,
  digests: readonly Digest[],
  call: FetchCall,
): Promise<boolean> {
  const { missing, failures } = await fetcher.fetch(digests, call);
  // What was not waited for is not known to be missing, and must not be told as that.
  if (call.signal?.aborted) throw new MeshError("CANCELLED", "The action was cancelled.");
  if (missing.length > 0 && failures.length > 0) throw notFetched(missing.length, failures);
  return missing.length === 0;
}

function notFetched(count: number, failures: readonly Failure[]): MeshError {
  const why = failures.map(({ message }) => message).join(" ");
  return new MeshError("UNAVAILABLE", `${count} inputs could not be fetched: ${why}`);
}

async function readAction(store: BlobStore, digest: Digest): Promise<Action> {
  const bytes = await store.get(digest, messageBytesMax);
  try {
    return Action.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "The Action blob is no Action message.", { cause });
  }
}

/** Undefined for a folder that is nowhere. */
async function readFolder(store: BlobStore, digest: Digest): Promise<Directory | undefined> {
  if (digest.sizeBytes > treeBounds.directoryBytesMax) return undefined;
  const bytes = await store.get(digest, treeBounds.directoryBytesMax).catch((error: unknown) => {
    if (failureOf(error).code === "NOT_FOUND") return undefined;
    throw error;
  });
  return bytes && decodeDirectory(bytes, "");
}
