// The line that people paste to bring a machine into a mesh: `builder://join/…`. It names the mesh
// by its key, the node that lets in, where to dial it, and the secret that it will ask for.

import { createHash, randomBytes } from "node:crypto";
import { publicKeyFromProtobuf, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { Invitation as WireInvitation } from "../wire/gen/builder/mesh/v1/join.ts";

/** What a link says. */
export interface Invitation {
  /** The authority's public key, serialised. */
  readonly meshId: Uint8Array;
  readonly secret: Uint8Array;
  /** Unix ms, by the inviting node's clock; whole seconds. */
  readonly expiresAtMs: number;
  /** The node that lets in. */
  readonly peer: PeerId;
  /** Multiaddrs without a peer id, 1 to 8. */
  readonly addresses: readonly string[];
}

/** Bounds of a link. */
export const invitationBounds = { linkCharsMax: 2048, secretBytes: 16, addressesMax: 8 };

const prefix = "builder://join/";

/** A secret that nobody guesses. */
export function newSecret(): Uint8Array {
  return randomBytes(invitationBounds.secretBytes);
}

/** How a secret is kept: who reads the file cannot join with it. */
export function hashSecret(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** The link. Of the addresses, the first eight; their peer ids are left out. */
export function formatLink(invitation: Invitation): string {
  const { meshId, secret, expiresAtMs, peer, addresses } = invitation;
  const { publicKey } = peerIdFromString(peer);
  if (publicKey === undefined) throw new MeshError("INTERNAL", `${peer} carries no key.`);
  const bytes = WireInvitation.encode({
    meshId,
    secret,
    expiresAtS: Math.floor(expiresAtMs / 1000),
    peerKey: publicKeyToProtobuf(publicKey),
    addresses: addresses
      .slice(0, invitationBounds.addressesMax)
      .map((address) => multiaddr(address.replace(/\/p2p\/[^/]+$/, "")).bytes),
  }).finish();
  return prefix + Buffer.from(bytes).toString("base64url");
}

/** Reads a link. INVALID_ARGUMENT for one that was cut, mistyped or is none. */
export function parseLink(text: string): Invitation {
  const link = text.trim();
  const encoded = link.slice(prefix.length);
  const wellFormed = link.startsWith(prefix) && /^[\w-]+$/.test(encoded);
  if (!wellFormed || link.length > invitationBounds.linkCharsMax) throw unreadable();
  try {
    return check(WireInvitation.decode(Buffer.from(encoded, "base64url")));
  } catch (cause) {
    throw unreadable(cause);
  }
}

function check(wire: WireInvitation): Invitation {
  const { meshId, secret, expiresAtS, peerKey, addresses } = wire;
  const { secretBytes, addressesMax } = invitationBounds;
  if (secret.length !== secretBytes) throw unreadable();
  if (addresses.length === 0 || addresses.length > addressesMax) throw unreadable();
  const host = publicKeyFromProtobuf(peerKey);
  if (publicKeyFromProtobuf(meshId).type !== "Ed25519") throw unreadable();
  if (host.type !== "Ed25519") throw unreadable();
  return {
    meshId,
    secret,
    expiresAtMs: expiresAtS * 1000,
    peer: peerIdFromPublicKey(host).toString(),
    addresses: addresses.map((bytes) => multiaddr(bytes).toString()),
  };
}

function unreadable(cause?: unknown): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    "That is no invitation. Copy the whole line that the other machine printed, in quotes: " +
      "builder join 'builder://join/…'; `builder mesh invite` there prints a new one.",
    { cause },
  );
}
