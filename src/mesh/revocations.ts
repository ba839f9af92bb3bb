// Who was put out of the mesh. A revocation is signed by the authority, so that any member may hand
// it on and none can forge one.

import { publicKeyFromProtobuf } from "@libp2p/crypto/keys";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { RevocationBody } from "../wire/gen/builder/mesh/v1/mesh.ts";
import { type Authority, certificateBounds, isSigned } from "./identity.ts";

/** A revocation as it travels. */
export interface SignedRevocation {
  /** A serialised `RevocationBody`. */
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** Everything that is known of who is out. */
export interface Revocations {
  /**
   * Learns a revocation. The peer that it puts out, for whom it is to be cut off and told on;
   * undefined where it is known already or not signed by this mesh, and where too many more wait to
   * be looked at.
   */
  take(signed: SignedRevocation): Promise<PeerId | undefined>;
  /** The same for one that this node signed itself: it waits for nobody. */
  add(signed: SignedRevocation): Promise<PeerId | undefined>;
  /** Whether a member that was let in at `issuedAtMs` (Unix ms) is out. */
  isRevoked(peer: PeerId, issuedAtMs: number): boolean;
  all(): readonly SignedRevocation[];
}

/** Bound: revocations known. Each was signed by the authority, so only its owner can reach it. */
export const revocationsMax = 4096;

/** Puts a member out. */
export async function signRevocation(
  authority: Authority,
  revoked: { readonly peerId: PeerId; readonly revokedAtMs: number },
): Promise<SignedRevocation> {
  const body = RevocationBody.encode({ ...revoked, meshId: authority.meshId }).finish();
  return { body, signature: await authority.sign(body) };
}

/**
 * The revocations of a mesh, from those that were `stored`. `save` is called with all of them
 * whenever one is new, before `take` resolves.
 */
export async function createRevocations(options: {
  readonly meshId: Uint8Array;
  readonly stored: readonly SignedRevocation[];
  readonly save: (all: readonly SignedRevocation[]) => void;
}): Promise<Revocations> {
  const authority = publicKeyFromProtobuf(options.meshId);
  const knownByPeer = new Map<PeerId, { revokedAtMs: number; signed: SignedRevocation }>();

  async function learn(signed: SignedRevocation): Promise<PeerId | undefined> {
    if (signed.body.length > certificateBounds.bytesMax) return undefined;
    if (!(await isSigned(authority, signed.body, signed.signature))) return undefined;
    const { peerId, revokedAtMs, meshId } = readBody(signed.body);
    if (Buffer.compare(meshId, options.meshId) !== 0) return undefined;
    const known = knownByPeer.get(peerId);
    if (known !== undefined && known.revokedAtMs >= revokedAtMs) return undefined;
    if (known === undefined && knownByPeer.size >= revocationsMax) {
      throw new MeshError(
        "RESOURCE_EXHAUSTED",
        `This mesh knows ${revocationsMax} revocations and takes no more. Begin a new mesh.`,
      );
    }
    knownByPeer.set(peerId, { revokedAtMs, signed });
    return peerId;
  }

  let waiting = 0;
  let inTurn: Promise<unknown> = Promise.resolve();
  const all = () => [...knownByPeer.values()].map(({ signed }) => signed);
  for (const signed of options.stored) await learn(signed);

  async function add(signed: SignedRevocation): Promise<PeerId | undefined> {
    const peer = await learn(signed);
    if (peer !== undefined) options.save(all());
    return peer;
  }

  return {
    add,
    take: async (signed) => {
      if (waiting >= revocationsMax) return undefined;
      waiting += 1;
      const taken = inTurn
        .then(() => add(signed))
        .finally(() => {
          waiting -= 1;
        });
      inTurn = taken.catch(() => undefined);
      return taken;
    },
    isRevoked: (peer, issuedAtMs) => {
      const known = knownByPeer.get(peer);
      return known !== undefined && issuedAtMs <= known.revokedAtMs;
    },
    all,
  };
}

function readBody(body: Uint8Array): RevocationBody {
  try {
    return RevocationBody.decode(body);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "A signed revocation makes no sense.", { cause });
  }
}
