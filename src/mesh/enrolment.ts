// Becoming a member (proto/builder/mesh/v1/join.proto): the newcomer shows the secret of its
// invitation, the node that holds the authority's key answers with a certificate.

import type { Connection, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Libp2p } from "libp2p";
import type { PeerId } from "../core/action.ts";
import { codes, failureOf, MeshError, wrap } from "../core/error.ts";
import type { MemberRecord } from "../core/message.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeFrame } from "../wire/frame.ts";
import { JoinAnswer, type Joined, JoinRequest } from "../wire/gen/builder/mesh/v1/join.ts";
import { firstFrame } from "./first-frame.ts";
import { certificateBounds, generateNodeKey, peerIdOf, verifyCertificate } from "./identity.ts";
import type { Invitation } from "./invitation.ts";
import { abort } from "./link.ts";
import { revocationsMax, type SignedRevocation } from "./revocations.ts";
import { createPeer } from "./transport.ts";
import { createTries } from "./tries.ts";

/** The protocol of proto/builder/mesh/v1/join.proto. */
export const joinProtocol = "/builder/join/1.0.0";

/** Bounds and times of joining. */
export const joinBounds = {
  requestBytesMax: 8192,
  answerBytesMax: 1 << 20,
  /** Either end waits this long for the other, in ms. */
  answerMs: 10_000,
  membersMax: 256,
  textMax: 4096,
  /** Tries from one address within a minute. */
  triesPerMinute: 10,
  /** Addresses remembered for that; the longest quiet ones are forgotten first. */
  addressesMax: 1024,
  secretBytesMax: 64,
};

/** Who asks to be let in. */
export interface Newcomer {
  /** Proved by Noise. */
  readonly peer: PeerId;
  /** The name it gives itself; may be empty, at most 64 characters. */
  readonly name: string;
  readonly secret: Uint8Array;
}

/** What a newcomer is given. */
export interface Admission {
  readonly certificate: Uint8Array;
  /** Nodes that serve, to dial. */
  readonly members: readonly MemberRecord[];
  readonly revocations: readonly SignedRevocation[];
  readonly meshName: string;
  readonly workStealing: boolean;
  readonly workStealingVersion: number;
  /** The authority's private key, for an admin. */
  readonly authorityKey: Uint8Array | undefined;
}

/** Lets somebody in; UNAUTHENTICATED, with what to do, otherwise. */
export type Admit = (newcomer: Newcomer) => Promise<Admission>;

/** Answers newcomers on `node` from here on. */
export async function serveJoins(
  node: Libp2p,
  deps: {
    readonly admit: Admit;
    /** Program and version, for the newcomer's logs. */
    readonly software: string;
    readonly log: Log;
    readonly now: () => number;
  },
): Promise<void> {
  const { triesPerMinute, addressesMax } = joinBounds;
  const tries = createTries({ perMinute: triesPerMinute, addressesMax });

  async function answer(stream: Stream, connection: Connection): Promise<void> {
    const frame = await firstFrame(stream, joinBounds.requestBytesMax, joinBounds.answerMs);
    const outcome = await decide(readJoinRequest(frame), connection);
    const answer = { outcome, nowMs: deps.now(), software: deps.software };
    stream.send(encodeFrame(JoinAnswer.encode(answer).finish()));
    await stream.close({ signal: AbortSignal.timeout(joinBounds.answerMs) });
  }

  async function decide({ name, secret }: JoinRequest, from: Connection): Promise<Outcome> {
    const address = hostOf(from.remoteAddr.toString());
    const peer = from.remotePeer.toString();
    if (secret.length === 0) return refusal(new MeshError("INVALID_ARGUMENT", "No secret."));
    try {
      if (!tries.allow(address, deps.now())) throw tooMany();
      checkNewcomer(name, secret);
      const admission = await deps.admit({ peer, name, secret });
      deps.log("info", `${name || peer} joined the mesh from ${address}`);
      return { $case: "joined", value: toWire(admission) };
    } catch (error) {
      deps.log("warn", `A newcomer at ${address} was not let in: ${failureOf(error).message}`);
      return refusal(error);
    }
  }

  await node.handle(
    joinProtocol,
    (stream, connection) =>
      answer(stream, connection).catch((error: unknown) => {
        deps.log("debug", wrap(error, "While somebody joined").message);
        abort(stream, "it broke the protocol");
      }),
    { maxInboundStreams: 1, maxOutboundStreams: 1 },
  );
}

/**
 * Asks the node of an invitation to be let in, as the owner of `key`. The admission was checked to
 * be of the invitation's mesh. UNAVAILABLE where nobody answers; UNAUTHENTICATED where the secret
 * is wrong, used up or expired, or where the answer is not of that mesh.
 */
export async function requestJoin(
  invitation: Invitation,
  as: { readonly key: Uint8Array; readonly name: string; readonly software: string },
  now: () => number,
): Promise<Admission> {
  const { meshId, secret } = invitation;
  const node = await createPeer(as.key, []);
  try {
    const { name, software } = as;
    const request = { secret, name, software, protocolMinor: 0 };
    const admission = readAdmission(await exchange(node, invitation, request));
    const expected = { meshId, peerId: peerIdOf(as.key), nowMs: now() };
    await verifyCertificate(admission.certificate, new Uint8Array(), expected);
    return admission;
  } finally {
    await node.stop();
  }
}

/**
 * Asks a member how it is, as nobody in particular. UNAVAILABLE where it cannot be dialled from
 * here.
 */
export async function askHow(
  member: { readonly peer: PeerId; readonly addresses: readonly string[] },
  software: string,
): Promise<{ readonly nowMs: number; readonly software: string; readonly tookMs: number }> {
  const key = await generateNodeKey();
  const node = await createPeer(key, []);
  try {
    const startedAt = performance.now();
    const request = { secret: new Uint8Array(), name: "", software, protocolMinor: 0 };
    const answer = await exchange(node, member, request);
    return {
      nowMs: answer.nowMs,
      software: answer.software.slice(0, certificateBounds.nameMax),
      tookMs: performance.now() - startedAt,
    };
  } finally {
    await node.stop();
  }
}

/** One question to a peer at one of its addresses; nobody else there gets to read it. */
async function exchange(
  node: Libp2p,
  { peer, addresses }: { readonly peer: PeerId; readonly addresses: readonly string[] },
  request: JoinRequest,
): Promise<JoinAnswer> {
  const bare = addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, ""));
  const dialled = bare.map((address) => multiaddr(`${address}/p2p/${peer}`));
  const signal = AbortSignal.timeout(joinBounds.answerMs);
  const dialling = node.dialProtocol(dialled, joinProtocol, { signal });
  const stream = await dialling.catch((error: unknown) => {
    throw unreachable(bare, error);
  });
  stream.send(encodeFrame(JoinRequest.encode(request).finish()));
  return readJoinAnswer(await firstFrame(stream, joinBounds.answerBytesMax, joinBounds.answerMs));
}

/** A newcomer's frame. INVALID_ARGUMENT. */
export function readJoinRequest(frame: Uint8Array): JoinRequest {
  return decoded(JoinRequest, frame, "A newcomer sent bytes that are no JoinRequest.");
}

/** A mesh's frame. INVALID_ARGUMENT. */
export function readJoinAnswer(frame: Uint8Array): JoinAnswer {
  return decoded(JoinAnswer, frame, senseless);
}

function decoded<T>(type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array, what: string): T {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", what, { cause });
  }
}

type Outcome = NonNullable<JoinAnswer["outcome"]>;

function refusal(error: unknown): Outcome {
  const { code, message } = failureOf(error);
  return { $case: "refusal", value: { code, message: shorten(message) } };
}

function checkNewcomer(name: string, secret: Uint8Array): void {
  if (name.length <= certificateBounds.nameMax && secret.length <= joinBounds.secretBytesMax) {
    return;
  }
  throw new MeshError(
    "INVALID_ARGUMENT",
    "A name has at most 64 characters; choose a shorter one.",
  );
}

function tooMany(): MeshError {
  return new MeshError(
    "RESOURCE_EXHAUSTED",
    `That were over ${joinBounds.triesPerMinute} tries within a minute. Wait one, then try again.`,
  );
}

function unreachable(addresses: readonly string[], cause: unknown): MeshError {
  return new MeshError(
    "UNAVAILABLE",
    `The mesh does not answer at ${addresses.join(", ")}. Is its node up, and may this machine ` +
      "connect to that port? `builder mesh invite` there prints a link with today's addresses. " +
      `(${failureOf(cause).message.slice(0, 300)})`,
    { cause },
  );
}

function shorten(text: string): string {
  return text.slice(0, joinBounds.textMax);
}

/** Without the port, which changes with every connection. */
function hostOf(address: string): string {
  return address.replace(/\/tcp\/.*$/, "");
}

function toWire(admission: Admission): Joined {
  const { members, revocations, authorityKey, ...rest } = admission;
  const listed = members.slice(0, joinBounds.membersMax);
  return {
    ...rest,
    members: listed.map((member) => ({ ...member, addresses: [...member.addresses] })),
    revocations: [...revocations],
    authorityKey: authorityKey ?? new Uint8Array(),
  };
}

/**
 * The admission of an answer, its certificate unchecked. INVALID_ARGUMENT where it is out of
 * bounds; what the mesh says where it is a refusal.
 */
export function readAdmission({ outcome }: JoinAnswer): Admission {
  if (outcome === undefined) throw malformed();
  if (outcome.$case === "refusal") {
    const code = codes.find((known) => known === outcome.value.code) ?? "UNAUTHENTICATED";
    throw new MeshError(code, shorten(outcome.value.message));
  }
  const { authorityKey, ...joined } = outcome.value;
  const { members, revocations, meshName } = joined;
  const tooMuch =
    members.length > joinBounds.membersMax ||
    members.some(({ addresses }) => addresses.length > 16) ||
    revocations.length > revocationsMax ||
    meshName.length > certificateBounds.nameMax;
  if (tooMuch) throw malformed();
  return { ...joined, authorityKey: authorityKey.length > 0 ? authorityKey : undefined };
}

const senseless = "The mesh's answer makes no sense. Is it as new as us?";

function malformed(): MeshError {
  return new MeshError("INVALID_ARGUMENT", senseless);
}
