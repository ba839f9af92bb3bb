// What a node knows of its mesh between runs, in `<store>/mesh`: who it is, whom it knows, who is
// out, and, where it holds the authority's key, whom it lets in.

import { makePrivate } from "../cas/private-folder.ts";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { MemberRecord } from "../core/message.ts";
import type { Admit } from "../mesh/enrolment.ts";
import { requestJoin } from "../mesh/enrolment.ts";
import {
  type Authority,
  certificateBounds,
  createAuthority,
  createSponsor,
  generateNodeKey,
  holdsAuthority,
  issueCertificate,
  keepAuthority,
  type Member,
  peerIdOf,
  readCertificate,
} from "../mesh/identity.ts";
import { parseLink } from "../mesh/invitation.ts";
import { createRevocations, type Revocations, signRevocation } from "../mesh/revocations.ts";
import { createInvites, type InviteRole, type Invites } from "./invites.ts";
import { loadMeshFiles, type MeshFiles, type MeshSettings } from "./mesh-files.ts";
import { software } from "./version.ts";

/** What a node needs to be let in. */
export interface NodeCredential {
  /** Serialised private key. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  readonly meshId: Uint8Array;
  /** The certificate of the host that vouches for a worker; undefined for a host. */
  readonly sponsor?: Uint8Array;
}

/** A node's membership. */
export interface MeshState {
  readonly folder: string;
  readonly credential: NodeCredential;
  /** What its certificate says. */
  readonly self: Member;
  /** Undefined where this node cannot let others in or put them out. */
  readonly authority: Authority | undefined;
  readonly revocations: Revocations;
  readonly invites: Invites;
  settings(): MeshSettings;
  saveSettings(settings: MeshSettings): void;
  /** The serving nodes as they were known last, for dialling after a restart. */
  members(): readonly MemberRecord[];
  saveMembers(members: readonly MemberRecord[]): void;
  /** The port at which others know this node; 0 where none was used yet. */
  port(): number;
  savePort(port: number): void;
  /** A certificate for a worker that this node starts; it lasts as long as the node's own. */
  sponsorWorker(name: string): Promise<NodeCredential>;
  /** Lets newcomers in, or tells them where; `members` is whom they shall dial. */
  admission(members: () => readonly MemberRecord[]): Admit;
  /** Puts a member out; what is to be spread. FAILED_PRECONDITION without the authority. */
  revoke(peer: PeerId): ReturnType<typeof signRevocation>;
  /** Whom this node let in, by peer id or name. */
  admitted(): ReturnType<MeshFiles["admitted"]>;
  /** Forgets membership, so that the next start begins or joins another mesh. */
  leave(): void;
}

/** How long a certificate of a host lasts, in ms: five years. Revocation ends it earlier. */
export const hostCertificateMs = 5 * 365 * 86_400_000;

/** The membership kept in `folder`; undefined where there is none. DATA_LOSS names a bad file. */
export async function openMeshState(
  folder: string,
  now: () => number,
): Promise<MeshState | undefined> {
  const files = loadMeshFiles(folder);
  const membership = files.membership();
  if (membership === undefined) return undefined;
  const authority = holdsAuthority(folder) ? await createAuthority(folder) : undefined;
  const self = readCertificate(membership.certificate);
  const owns = authority !== undefined && sameBytes(authority.meshId, self.meshId);
  // Its own authority renews it in good time; whoever joined is let in anew by an invitation.
  if (owns && self.notAfterMs - now() < hostCertificateMs / 2) {
    const { name, roles } = self;
    await certifySelf(files, { authority, key: membership.key, name, roles, now });
  }
  return stateOf(files, owns ? authority : undefined, now);
}

/** Begins a mesh in `folder`, of which this node is the first member and the authority. */
export async function createMesh(
  folder: string,
  options: { readonly name: string; readonly meshName: string; readonly now: () => number },
): Promise<MeshState> {
  makePrivate(folder);
  const authority = await createAuthority(folder);
  const files = loadMeshFiles(folder);
  const { now } = options;
  const name = options.name.slice(0, certificateBounds.nameMax);
  const key = files.key() ?? (await generateNodeKey());
  files.saveSettings({ name: options.meshName, workStealing: false, workStealingVersion: 0 });
  await certifySelf(files, { authority, key, name, roles: ["host", "admin"], now });
  return stateOf(files, authority, now);
}

/**
 * Joins the mesh of a link and keeps the membership in `folder`. FAILED_PRECONDITION where the
 * folder belongs to another mesh already; errors of the link and of the mesh as in `requestJoin`.
 */
export async function enrol(
  link: string,
  options: { readonly folder: string; readonly name: string; readonly now: () => number },
): Promise<MeshState> {
  const { folder, now } = options;
  const invitation = parseLink(link);
  const files = loadMeshFiles(folder);
  const elsewhere = isElsewhere(folder, invitation.meshId);
  makePrivate(folder);
  // A peer id of its own for each mesh, so that two meshes cannot tell that it is one machine.
  const key = (elsewhere ? undefined : files.key()) ?? (await generateNodeKey());
  const name = options.name.slice(0, certificateBounds.nameMax);
  const admission = await requestJoin(invitation, { key, name, software }, now);
  const { authorityKey, certificate, meshName, workStealing, workStealingVersion } = admission;
  if (elsewhere) files.forget();
  if (authorityKey !== undefined) keepAuthority(folder, authorityKey, invitation.meshId);
  files.saveSettings({ name: meshName, workStealing, workStealingVersion });
  files.saveMembers(admission.members);
  files.saveRevocations([...files.revocations(), ...admission.revocations]);
  // Last: with it the folder counts as a member's.
  files.saveMembership({ key, certificate, meshId: invitation.meshId });
  const authority = authorityKey === undefined ? undefined : await createAuthority(folder);
  return stateOf(files, authority, now);
}

/**
 * Whether the membership in `folder` is of another mesh than this one, and may be given up for it.
 * FAILED_PRECONDITION where others are in that mesh.
 */
export function isElsewhere(folder: string, meshId: Uint8Array): boolean {
  const files = loadMeshFiles(folder);
  const before = files.membership();
  if (before === undefined || sameBytes(before.meshId, meshId)) return false;
  if (isAlone({ ...files, credential: before })) return true;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `The store of ${folder} belongs to another mesh. \`builder mesh leave\` ends that; ` +
      "or name another folder with --store.",
  );
}

/** Somebody else than the node whose identity lies in `state`, for a second process of a store. */
export async function guestOf(state: MeshState, name: string, nowMs: number): Promise<MeshState> {
  const { authority } = state;
  if (authority === undefined) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `Another node of this machine runs on this store already (${state.folder}), and there is ` +
        "one membership for it. Stop that node, or name another folder with --store.",
    );
  }
  const key = await generateNodeKey();
  const certificate = await issueCertificate(authority, hostOf(peerIdOf(key), name, nowMs));
  const credential = { key, certificate, meshId: authority.meshId };
  return {
    ...state,
    credential,
    self: readCertificate(certificate),
    port: () => 0,
    savePort: () => undefined,
    admission: () => cannotAdmit,
    sponsorWorker: (worker) => sponsorWorker(credential, worker, nowMs),
  };
}

/** True for a mesh that nobody else ever joined: every `builder serve` begins one. */
export function isAlone(
  of: Pick<MeshState, "members" | "admitted" | "credential" | "folder">,
): boolean {
  const own = peerIdOf(of.credential.key);
  const others = of.members().filter(({ peer }) => peer !== own);
  return holdsAuthority(of.folder) && others.length === 0 && of.admitted().length === 0;
}

async function stateOf(
  files: MeshFiles,
  authority: Authority | undefined,
  now: () => number,
): Promise<MeshState> {
  const membership = files.membership();
  if (membership === undefined) throw new MeshError("INTERNAL", "A membership was not kept.");
  const { key, certificate, meshId } = membership;
  const credential = { key, certificate, meshId };
  const invites = createInvites(files.folder, now);
  const known = await createRevocations({
    meshId,
    stored: files.revocations(),
    save: files.saveRevocations,
  });
  const endInvitesOf = (peer: PeerId | undefined) => {
    if (peer !== undefined) invites.endThoseOf(peer);
    return peer;
  };
  const revocations: Revocations = {
    ...known,
    take: (signed) => known.take(signed).then(endInvitesOf),
    add: (signed) => known.add(signed).then(endInvitesOf),
  };
  return {
    ...files,
    credential,
    self: readCertificate(certificate),
    authority,
    revocations,
    invites,
    sponsorWorker: (name) => sponsorWorker(credential, name, now()),
    admission: (members) =>
      authority === undefined
        ? cannotAdmit
        : admission({ authority, files, invites, revocations, now }, members),
    revoke: async (peerId) => {
      if (authority === undefined) throw withoutAuthority();
      const signed = await signRevocation(authority, { peerId, revokedAtMs: now() });
      await revocations.add(signed);
      return signed;
    },
    leave: () => files.forget(),
  };
}

const cannotAdmit: Admit = () => Promise.reject(withoutAuthority());

/** Lets in whoever knows the secret of an invitation. */
function admission(
  of: {
    readonly authority: Authority;
    readonly files: MeshFiles;
    readonly invites: Invites;
    readonly revocations: Revocations;
    readonly now: () => number;
  },
  members: () => readonly MemberRecord[],
): Admit {
  const { authority, files, invites, revocations, now } = of;
  return async ({ peer, name, secret }) => {
    const role = invites.redeem(secret, peer);
    const certificate = await issueCertificate(authority, hostOf(peer, name, now(), role));
    files.addAdmitted({ peer, name, role, atMs: now() });
    const { name: meshName, ...settings } = files.settings();
    return {
      certificate,
      members: members(),
      revocations: revocations.all(),
      meshName,
      ...settings,
      authorityKey: role === "admin" ? authority.exportKey() : undefined,
    };
  };
}

function hostOf(peerId: PeerId, name: string, nowMs: number, role: InviteRole = "host") {
  const roles = role === "admin" ? ["host", "admin"] : ["host"];
  return { peerId, name, roles, notBeforeMs: nowMs, notAfterMs: nowMs + hostCertificateMs };
}

async function certifySelf(
  files: MeshFiles,
  of: {
    readonly authority: Authority;
    readonly key: Uint8Array;
    readonly name: string;
    readonly roles: readonly string[];
    readonly now: () => number;
  },
): Promise<void> {
  const { authority, key, name, roles, now } = of;
  const membership = { ...hostOf(peerIdOf(key), name, now()), roles };
  const certificate = await issueCertificate(authority, membership);
  files.saveMembership({ key, certificate, meshId: authority.meshId });
}

async function sponsorWorker(
  host: NodeCredential,
  name: string,
  nowMs: number,
): Promise<NodeCredential> {
  const key = await generateNodeKey();
  const { notAfterMs } = readCertificate(host.certificate);
  const certificate = await issueCertificate(createSponsor(host), {
    peerId: peerIdOf(key),
    name,
    roles: ["worker"],
    notBeforeMs: nowMs,
    notAfterMs,
  });
  return { key, certificate, meshId: host.meshId, sponsor: host.certificate };
}

/** For what only the holder of the mesh's key may do. */
export function withoutAuthority(): MeshError {
  return new MeshError(
    "FAILED_PRECONDITION",
    "This node does not hold the mesh's key. Run the command on the node that began the mesh, " +
      "or on one that joined by `builder mesh invite --role admin`.",
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
