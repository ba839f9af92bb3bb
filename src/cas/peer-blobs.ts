// The door to other hosts' stores. The mesh implements it over its links; the stores of this folder
// and the workers decide whom to ask for what.

import type { PeerId } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { ActionKey, CachedResult } from "./action-cache.ts";

/** How long to wait for a peer, and who wants to know. */
export interface PeerCall {
  /** Gives up at once. */
  readonly signal?: AbortSignal;
  /** Gives up after so many ms without progress; the exchange's own bound unless given. */
  readonly patienceMs?: number;
  /** Called once, when the peer made no progress for a while: ask somebody else besides. */
  readonly onStall?: () => void;
}

/**
 * Requests to one linked peer each. Every method rejects with UNAVAILABLE or DEADLINE_EXCEEDED,
 * naming the peer, where it does not answer, and with DATA_LOSS where it lied: then it is left
 * alone for a while. Failures of this host's own store keep their code.
 */
export interface PeerBlobs {
  /** False while a peer that lied or did not answer is left alone: asking it fails at once. */
  usable(peer: PeerId): boolean;
  /** Copies blobs into this host's store, each verified; answers those that the peer lacks. */
  fetch(peer: PeerId, digests: readonly Digest[], call?: PeerCall): Promise<Digest[]>;
  /** Which of these the peer lacks. Extends the life of those that it has. */
  ask(peer: PeerId, digests: readonly Digest[], call?: PeerCall): Promise<Digest[]>;
  /**
   * Copies blobs of this host's store to the peer. NOT_FOUND where this store lacks one; the peer's
   * own code, such as RESOURCE_EXHAUSTED, where it refuses one.
   */
  put(peer: PeerId, digests: readonly Digest[], call?: PeerCall): Promise<void>;
  /** What the peer has cached for an action; undefined on a miss. */
  getResult(peer: PeerId, key: ActionKey, call?: PeerCall): Promise<CachedResult | undefined>;
  /** Has the peer cache a result. */
  putResult(peer: PeerId, key: ActionKey, bytes: Uint8Array, call?: PeerCall): Promise<void>;
}
