// The six digits to which both ends of a knock come (proto/builder/mesh/v1/knock.proto), as short
// authentication strings of ZRTP (RFC 6189, section 4.4.2): who is in between has a session with
// either end, which are two codes. It has bound itself to its nonce before it sees the other's, so
// that it cannot choose one for which the codes are the same.

import { createHash, randomBytes } from "node:crypto";
import type { PeerId } from "../core/action.ts";

/** Bytes of a nonce, and of the commitment to one. */
export const nonceBytes = 32;

/** To what a code is bound. */
export interface CodeSubject {
  /** The authority's public key, serialised. */
  readonly meshId: Uint8Array;
  /** As Noise proved them. */
  readonly newcomer: PeerId;
  readonly node: PeerId;
  readonly newcomerNonce: Uint8Array;
  readonly nodeNonce: Uint8Array;
}

/** A nonce that nobody guesses. */
export function newNonce(): Uint8Array {
  return randomBytes(nonceBytes);
}

/** What binds the newcomer to its nonce without telling it. */
export function commitmentTo(nonce: Uint8Array): Uint8Array {
  return hash("builder knock commitment", nonce);
}

/** Six decimal digits. */
export function shortCode(of: CodeSubject): string {
  const { meshId, newcomer, node, newcomerNonce, nodeNonce } = of;
  const peers = [newcomer, node].map((peer) => Buffer.from(peer));
  const digest = hash("builder knock code", meshId, ...peers, newcomerNonce, nodeNonce);
  return `${digest.readBigUInt64BE() % 1_000_000n}`.padStart(6, "0");
}

/** With the length of each part before it: no two lists of parts are the same bytes. */
function hash(purpose: string, ...parts: readonly Uint8Array[]): Buffer {
  const digest = createHash("sha256");
  for (const part of [Buffer.from(purpose), ...parts]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    digest.update(length).update(part);
  }
  return digest.digest();
}
