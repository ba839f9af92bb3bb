// Who is who: the mesh's authority, the nodes' keys, and the certificates that make a node a
// member. The authority signs hosts; a host vouches for the workers that it starts itself.

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
import type { PrivateKey, PublicKey } from "@libp2p/interface";
import { peerIdFromPrivateKey, peerIdFromString } from "@libp2p/peer-id";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { Certificate, CertificateBody } from "../wire/gen/builder/mesh/v1/mesh.ts";

/** The key that signs a mesh's certificates. Whoever holds it can let nodes in. */
export interface Authority {
  /** The public key, serialised: names the mesh. */
  readonly meshId: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** The private key, serialised: for nodes that are to let others in as well. */
  exportKey(): Uint8Array;
}

/** Whoever signs a certificate: the authority, or a host for its own workers. */
export interface Signer {
  readonly meshId: Uint8Array;
  /** The host's peer id; undefined: the authority signs. */
  readonly sponsor?: PeerId;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** What a member may be; a later version may know more. */
export const roles = ["host", "worker", "client", "admin"] as const;

/** `host` serves and vouches for workers, `admin` also holds the authority's key. */
export type Role = (typeof roles)[number];

/** What a certificate says. */
export interface Membership {
  readonly peerId: PeerId;
  readonly roles: readonly string[];
  /** Unix ms at which it was issued, by the clock of whoever signed. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Name for people; at most 64 characters. */
  readonly name?: string;
}

/** A membership that was checked. */
export interface Member extends Membership {
  readonly name: string;
  /** The host that vouches for it; undefined: the authority does. */
  readonly sponsor: PeerId | undefined;
}

/** Against what a certificate is checked. */
export interface Expected {
  readonly meshId: Uint8Array;
  /** The peer that Noise proved. */
  readonly peerId: PeerId;
  readonly nowMs: number;
  /** Whether the mesh put out a member that was let in at `issuedAtMs`. */
  readonly isRevoked?: (peer: PeerId, issuedAtMs: number) => boolean;
}

/** Bounds of what a certificate may hold. */
export const certificateBounds = { bytesMax: 4096, nameMax: 64, rolesMax: 8 };

/**
 * Two members' clocks may differ by this much, in ms, before a fresh certificate is "not valid
 * yet". Long, because a machine whose clock is days off is still a good worker, and because the
 * begin of a certificate protects nothing: only its end does.
 */
const clockSkewMs = 3 * 86_400_000;

const authorityFile = "authority.key";

/** Length of an ed25519 signature (RFC 8032). */
const signatureBytes = 64;

/** Loads the authority of `folder` or creates it (mode 0600); several processes may race for it. */
export async function createAuthority(folder: string): Promise<Authority> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, authorityFile);
  const key = parseKey(readKey(path) ?? (await makeKey(folder, path)), path);
  return {
    meshId: publicKeyToProtobuf(key.publicKey),
    sign: async (bytes) => key.sign(bytes),
    exportKey: () => privateKeyToProtobuf(key),
  };
}

/** Whether `folder` holds the authority's key. */
export function holdsAuthority(folder: string): boolean {
  return readKey(join(folder, authorityFile)) !== undefined;
}

/** Keeps an authority's key that another node handed over. INVALID_ARGUMENT: it is of no mesh. */
export function keepAuthority(folder: string, key: Uint8Array, meshId: Uint8Array): void {
  let holds: Uint8Array;
  try {
    holds = publicKeyToProtobuf(privateKeyFromProtobuf(key).publicKey);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "The mesh handed over a damaged key.", { cause });
  }
  if (Buffer.compare(holds, meshId) !== 0) {
    throw new MeshError("INVALID_ARGUMENT", "The mesh handed over the key of another mesh.");
  }
  writeFileSync(join(folder, authorityFile), key, { mode: 0o600 });
}

/** A host as signer of its own workers' certificates. */
export function createSponsor(credential: {
  readonly key: Uint8Array;
  readonly meshId: Uint8Array;
}): Signer & { readonly sponsor: PeerId } {
  const key = privateKeyFromProtobuf(credential.key);
  return {
    meshId: credential.meshId,
    sponsor: peerIdFromPrivateKey(key).toString(),
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

function parseKey(bytes: Uint8Array, path: string): PrivateKey {
  try {
    return privateKeyFromProtobuf(bytes);
  } catch (cause) {
    throw new MeshError(
      "DATA_LOSS",
      `The mesh key ${path} is damaged. Restore it from a backup or from a node that holds it; ` +
        "without it nobody can be let in, so otherwise remove the folder and begin a new mesh.",
      { cause },
    );
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

/** Makes a node a member: a serialised `Certificate`, signed by the authority or a sponsor. */
export async function issueCertificate(
  signer: Signer,
  membership: Membership,
): Promise<Uint8Array> {
  const { name = "", roles: given, peerId, notBeforeMs, notAfterMs } = membership;
  const body = CertificateBody.encode({
    ...{ peerId, notBeforeMs, notAfterMs, name, roles: [...given] },
    sponsor: signer.sponsor ?? "",
    meshId: signer.meshId,
  }).finish();
  return Certificate.encode({ body, signature: await signer.sign(body) }).finish();
}

/**
 * Checks a certificate for a peer, and `sponsor`, the certificate of the host that vouches for it
 * (empty where the authority does). UNAUTHENTICATED says which check failed.
 */
export async function verifyCertificate(
  bytes: Uint8Array,
  sponsor: Uint8Array,
  expected: Expected,
): Promise<Member> {
  const { body, signature, member } = parse(bytes, expected);
  if (member.sponsor === undefined) {
    const authority = publicKeyFromProtobuf(expected.meshId);
    if (!(await isSigned(authority, body, signature))) {
      throw refused("it is not signed by this mesh");
    }
    checkMember(member, expected);
    return member;
  }
  if (sponsor.length === 0) throw refused("the certificate of its sponsor did not come with it");
  const host = parse(sponsor, expected).member;
  if (host.sponsor !== undefined) throw refused("its sponsor has a sponsor itself");
  await verifyCertificate(sponsor, none, { ...expected, peerId: member.sponsor });
  if (!host.roles.includes("host")) throw refused("its sponsor is no host");
  if (!(await isSigned(keyOf(member.sponsor), body, signature))) {
    throw refused("it is not signed by its sponsor");
  }
  checkMember(member, expected);
  const onlyWorks = member.roles.every((role) => role === "worker");
  if (!onlyWorks) throw refused("a host vouches for workers only");
  if (member.notAfterMs > host.notAfterMs) throw refused("it outlives its sponsor");
  return member;
}

/** What a certificate says, unchecked: for the node's own, and for people. */
export function readCertificate(bytes: Uint8Array): Member & { readonly meshId: Uint8Array } {
  const { member, meshId } = parse(bytes);
  return { ...member, meshId };
}

const none = new Uint8Array();

function parse(bytes: Uint8Array, expected?: Expected) {
  if (bytes.length > certificateBounds.bytesMax) throw refused("it is too long");
  // Nothing at all is what a program without a certificate sends.
  if (bytes.length === 0) throw refused("it is not signed by this mesh: there is none");
  const { body, signature } = decode(Certificate, bytes);
  const { sponsor, meshId, ...rest } = decode(CertificateBody, body);
  const { rolesMax, nameMax } = certificateBounds;
  if (rest.roles.length > rolesMax || rest.name.length > nameMax) throw refused("it is malformed");
  if (expected !== undefined && Buffer.compare(meshId, expected.meshId) !== 0) {
    throw refused("it is not signed by this mesh but by another");
  }
  return { body, signature, meshId, member: { ...rest, sponsor: sponsor || undefined } };
}

/** Everything but the signature. */
function checkMember(member: Member, expected: Expected): void {
  const { peerId, notBeforeMs, notAfterMs } = member;
  if (peerId !== expected.peerId) throw refused(`it belongs to ${peerId.slice(0, 80)}`);
  if (notAfterMs < expected.nowMs) {
    throw refused("it has expired; join again, or check both clocks");
  }
  if (notBeforeMs > expected.nowMs + clockSkewMs) {
    throw refused("it is not valid yet; check both clocks");
  }
  if (expected.isRevoked?.(peerId, notBeforeMs)) {
    throw refused("it was revoked; whoever runs the mesh can invite this node anew");
  }
}

/** The key inside of an ed25519 peer id. */
function keyOf(peer: PeerId): PublicKey {
  try {
    const { publicKey } = peerIdFromString(peer.slice(0, 256));
    if (publicKey?.type === "Ed25519") return publicKey;
  } catch {
    // Falls through: it is no peer id.
  }
  throw refused("its sponsor is no peer");
}

/** True where `signature` is the key's over `body`. Never throws: the bytes are a stranger's. */
export async function isSigned(
  key: PublicKey,
  body: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== signatureBytes) return false;
  return await key.verify(body, signature);
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
