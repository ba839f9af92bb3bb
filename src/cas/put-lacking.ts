// Blobs that were only just made, to one other host: it hardly ever has them, so a few bytes are
// sent without asking first, which would cost a round trip and as much work as sending them.

import type { PeerId } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { PeerBlobs, PeerCall } from "./peer-blobs.ts";

/** Bytes that are sent unasked, all blobs together. */
export const unaskedBytesMax = 64 << 10;

/** Makes `peer` have blobs of this host's store. Rejects as `PeerBlobs` does. */
export async function putLacking(
  peers: Pick<PeerBlobs, "ask" | "put">,
  peer: PeerId,
  digests: readonly Digest[],
  call: PeerCall,
): Promise<void> {
  const bytes = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lacking = bytes <= unaskedBytesMax ? digests : await peers.ask(peer, digests, call);
  if (lacking.length > 0) await peers.put(peer, lacking, call);
}
