// Who is who: the mesh's authority, the nodes' keys, and the certificates that make a node a
// member.

import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  generateKeyPair,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
  publicKeyFromProtobuf,
  publicKeyToProtobuf,
} from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { Certificate, CertificateBody } from "../wire/gen/builder/mesh/v1/mesh.ts";

/** The key that signs a mesh's certificates. Whoever holds it can let nodes in. */
export interface Authority {
  /** The public key, serialised: names the mesh. */
  readonly meshId: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** What a certificate says. */
export interface Membership {
  readonly peerId: PeerId;
  readonly roles: readonly string[];
  /** Unix ms. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Clocks of two members may differ by this much, in ms. */
const clockSkewMs = 5 * 60_000;

/** Length of an ed25519 signature (RFC 8032). */
const signatureBytes = 64;

/** Loads the authority of `folder` or creates it (mode 0600); several processes may race for it. */
export async function createAuthority(folder: string): Promise<Authority> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "authority.key");
  const key = privateKeyFromProtobuf(readKey(path) ?? (await makeKey(folder, path)));
  return {
    meshId: publicKeyToProtobuf(key.publicKey),
    sign: async (bytes) => key.sign(bytes),
  };
}

function readKey(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new MeshError("FAILED_PRECONDITION", `The mesh key ${path} cannot be read.`, {
      cause: error,
    });
  }
}

async function makeKey(folder: string, path: string): Promise<Uint8Array> {
  const made = privateKeyToProtobuf(await generateKeyPair("Ed25519"));
  const draft = join(folder, `authority.${randomUUID()}`);
  writeFileSync(draft, made, { mode: 0o600, flag: "wx" });
  try {
    linkSync(draft, path);
    return made;
  } catch {
    // Another process was first: its key is the mesh's.
    return readFileSync(path);
  } finally {
    rmSync(draft);
  }
}

/** A new private key for a node, serialised. */
export async function generateNodeKey(): Promise<Uint8Array> {
  return privateKeyToProtobuf(await generateKeyPair("Ed25519"));
}

/** The peer id that belongs to a node's key. */
export function peerIdOf(key: Uint8Array): PeerId {
  return peerIdFromPrivateKey(privateKeyFromProtobuf(key)).toString();
}

/** Makes a node a member: a serialised `Certificate`. */
export async function issueCertificate(
  authority: Authority,
  membership: Membership,
): Promise<Uint8Array> {
  const body = CertificateBody.encode({
    ...membership,
    roles: [...membership.roles],
    sponsor: "",
    name: "",
    meshId: authority.meshId,
  }).finish();
  return Certificate.encode({ body, signature: await authority.sign(body) }).finish();
}

/** Checks a certificate for a peer. UNAUTHENTICATED says which check failed. */
export async function verifyCertificate(
  bytes: Uint8Array,
  expected: { readonly meshId: Uint8Array; readonly peerId: PeerId; readonly nowMs: number },
): Promise<Membership> {
  const { body, signature } = decode(Certificate, bytes);
  const key = publicKeyFromProtobuf(expected.meshId);
  const signed = signature.length === signatureBytes && (await key.verify(body, signature));
  if (!signed) throw refused("it is not signed by this mesh");
  const { peerId, roles, notBeforeMs, notAfterMs, meshId } = decode(CertificateBody, body);
  if (Buffer.compare(meshId, expected.meshId) !== 0) throw refused("it is of another mesh");
  if (peerId !== expected.peerId) throw refused(`it belongs to ${peerId.slice(0, 80)}`);
  if (notAfterMs < expected.nowMs) {
    throw refused("it has expired; join again, or check both clocks");
  }
  if (notBeforeMs > expected.nowMs + clockSkewMs) {
    throw refused("it is not valid yet; check both clocks");
  }
  return { peerId, roles, notBeforeMs, notAfterMs };
}

function decode<T>(type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return type.decode(bytes);
  } catch {
    throw refused("it is malformed");
  }
}

function refused(why: string): MeshError {
  return new MeshError("UNAUTHENTICATED", `The peer's certificate was refused: ${why}.`);
}
