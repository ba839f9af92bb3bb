// The core's messages ⇄ bytes of the peer protocol (proto/builder/mesh/v1/mesh.proto). Peers are
// members and may still lie: every length and list is bounded before the core sees it.

import type { ActionRequest, Outcome, Token } from "../core/action.ts";
import { type Digest, isHash } from "../core/digest.ts";
import { type Code, codes, MeshError } from "../core/error.ts";
import type { MemberRecord, Message } from "../core/message.ts";
import { encodeBytes } from "./encode.ts";
import {
  type DigestName,
  Envelope,
  type Member,
  type Property,
  type Load as WireLoad,
  type Request as WireRequest,
  type Token as WireToken,
} from "./gen/builder/mesh/v1/mesh.ts";
import { fromWireFunction, toWireFunction } from "./reapi.ts";

/** Bounds of what a peer may send. */
const bounds = {
  textMax: 4096,
  nameMax: 256,
  tokensMax: 4096,
  propertiesMax: 256,
  slotsMax: 4096,
  outputMax: 65_536,
  membersMax: 1024,
  addressesMax: 16,
  memberNameMax: 64,
  signedMax: 4096,
};

type Payload = NonNullable<Envelope["message"]>;

/** Live output of an attempt: for people who watch, so it passes the core by. */
export interface OutputMessage {
  readonly kind: "output";
  readonly token: Token;
  readonly stream: "stdout" | "stderr";
  /** Where in the output the bytes belong. */
  readonly offset: number;
  /** At most 64 KiB. */
  readonly bytes: Uint8Array;
}

/** A signed word that a member is out; checked by who knows the authority's key. */
export interface RevocationMessage {
  readonly kind: "revocation";
  /** A serialised `RevocationBody`. */
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** Anything one node sends another after Hello. */
export type PeerMessage = Message | OutputMessage | RevocationMessage;

/** A message as the bytes of one frame. */
export function encodeMessage(message: PeerMessage): Uint8Array {
  return encodeBytes(Envelope, { message: toPayload(message) });
}

/**
 * A frame as a message; undefined for one of the link's own and for those of later versions.
 * INVALID_ARGUMENT says what is wrong with it.
 */
export function decodeMessage(bytes: Uint8Array): PeerMessage | undefined {
  let envelope: Envelope;
  try {
    envelope = Envelope.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "A peer sent bytes that are no Envelope.", { cause });
  }
  const { message } = envelope;
  // Those two are the link's own: no node hears of them.
  if (message?.$case === "ping" || message?.$case === "pong") return undefined;
  return message && fromPayload(message);
}

function toPayload(message: PeerMessage): Payload {
  switch (message.kind) {
    case "load": {
      const { kind: _, properties, ...load } = message;
      const list = Object.entries(properties).map(([name, values]) => ({
        name,
        values: [...values],
      }));
      return { $case: "load", value: { ...load, properties: list } };
    }
    case "offer": {
      const { token, request, estimateMs } = message;
      const offer = { token, request: toWireRequest(request), estimateMs: toWireMs(estimateMs) };
      return { $case: "offer", value: offer };
    }
    case "claim":
      return { $case: "claim", value: { token: message.token } };
    case "bound":
      return { $case: "bound", value: { token: message.token } };
    case "gone":
      return { $case: "gone", value: { token: message.token } };
    case "renew":
      return { $case: "renew", value: { tokens: [...message.tokens] } };
    case "done":
      return {
        $case: "done",
        value: { token: message.token, outcome: toWireOutcome(message.outcome) },
      };
    case "cancel":
      return { $case: "cancel", value: { token: message.token } };
    case "output": {
      const { token, stream, offset, bytes: data } = message;
      return { $case: "output", value: { token, stderr: stream === "stderr", offset, data } };
    }
    case "revocation": {
      const { body, signature } = message;
      return { $case: "revocation", value: { body, signature } };
    }
    default:
      return toMeshPayload(message);
  }
}

type MeshMessage = Extract<
  Message,
  { kind: "members" | "probe" | "probed" | "lease" | "drain" | "steal" | "granted" | "lifeline" }
>;

function toMeshPayload(message: MeshMessage): Payload {
  switch (message.kind) {
    case "members": {
      const { kind: _, members, ...rest } = message;
      const list = members.map((member) => ({ ...member, addresses: [...member.addresses] }));
      return { $case: "members", value: { ...rest, members: list } };
    }
    case "probe":
      return { $case: "probe", value: { peer: message.peer } };
    case "probed":
      return { $case: "probed", value: { peer: message.peer, linked: message.linked } };
    case "lease":
      return { $case: "lease", value: { term: message.term, rank: message.rank } };
    case "drain":
      return { $case: "drain", value: { worker: message.worker, phase: message.phase } };
    case "steal":
      return { $case: "steal", value: { nonce: message.nonce, room: message.room } };
    case "granted": {
      const { nonce, count, retryMs } = message;
      return { $case: "granted", value: { nonce, count, retryMs } };
    }
    case "lifeline":
      return { $case: "lifeline", value: { on: message.on, room: message.room } };
  }
}

function fromPayload(
  payload: Exclude<Payload, { $case: "ping" } | { $case: "pong" }>,
): PeerMessage {
  switch (payload.$case) {
    case "hello":
      throw invalid("a second Hello");
    case "load":
      return fromLoad(payload.value);
    case "offer": {
      const { token, request, estimateMs } = payload.value;
      return {
        kind: "offer",
        token: fromToken(token),
        request: fromWireRequest(request),
        estimateMs,
      };
    }
    case "claim":
      return { kind: "claim", token: fromToken(payload.value.token) };
    case "bound":
      return { kind: "bound", token: fromToken(payload.value.token) };
    case "gone":
      return { kind: "gone", token: fromToken(payload.value.token) };
    case "renew": {
      const { tokens } = payload.value;
      if (tokens.length > bounds.tokensMax) throw invalid("a Renew of too many tokens");
      return { kind: "renew", tokens: tokens.map(fromToken) };
    }
    case "done":
      return {
        kind: "done",
        token: fromToken(payload.value.token),
        outcome: fromWireOutcome(payload.value.outcome),
      };
    case "cancel":
      return { kind: "cancel", token: fromToken(payload.value.token) };
    case "output": {
      const { token, stderr, offset, data: bytes } = payload.value;
      if (bytes.length > bounds.outputMax) throw invalid("an Output of too many bytes");
      const stream = stderr ? "stderr" : "stdout";
      return { kind: "output", token: fromToken(token), stream, offset, bytes };
    }
    case "revocation": {
      const { body, signature } = payload.value;
      if (body.length + signature.length > bounds.signedMax) throw invalid("a long Revocation");
      return { kind: "revocation", body, signature };
    }
    default:
      return fromMeshPayload(payload);
  }
}

function fromLoad(load: WireLoad): PeerMessage {
  const { slots, free, busy } = load;
  if (slots > bounds.slotsMax || free > slots || busy > slots) throw invalid("a Load's slots");
  return {
    kind: "load",
    name: bounded(load.name, bounds.nameMax, "Load.name"),
    slots: load.slots,
    free: load.free,
    queued: load.queued,
    draining: load.draining,
    isolation: bounded(load.isolation, bounds.nameMax, "Load.isolation"),
    properties: fromProperties(load.properties),
    home: bounded(load.home, bounds.nameMax, "Load.home"),
    pending: load.pending,
    serves: load.serves,
    busy,
    pendingMs: Math.max(0, load.pendingMs),
  };
}

function fromMeshPayload(payload: Extract<Payload, { $case: MeshMessage["kind"] }>): MeshMessage {
  switch (payload.$case) {
    case "members": {
      const { members, workStealing, workStealingVersion } = payload.value;
      if (members.length > bounds.membersMax) throw invalid("Members of too many records");
      const records = members.map(fromMember);
      return { kind: "members", members: records, workStealing, workStealingVersion };
    }
    case "probe":
      return { kind: "probe", peer: bounded(payload.value.peer, bounds.nameMax, "Probe.peer") };
    case "probed": {
      const { peer, linked } = payload.value;
      return { kind: "probed", peer: bounded(peer, bounds.nameMax, "Probed.peer"), linked };
    }
    case "lease":
      return { kind: "lease", term: payload.value.term, rank: payload.value.rank };
    case "drain": {
      const { phase } = payload.value;
      if (phase !== "pause" && phase !== "resume" && phase !== "leave") {
        throw invalid("a Drain of an unknown phase");
      }
      return {
        kind: "drain",
        worker: bounded(payload.value.worker, bounds.nameMax, "Drain.worker"),
        phase,
      };
    }
    case "steal": {
      const { nonce, room } = payload.value;
      if (room > bounds.slotsMax) throw invalid("a Steal of too much room");
      return { kind: "steal", nonce, room };
    }
    case "granted": {
      const { nonce, count, retryMs } = payload.value;
      return { kind: "granted", nonce, count, retryMs };
    }
    case "lifeline": {
      const { on, room } = payload.value;
      if (room > bounds.slotsMax) throw invalid("a Lifeline of too much room");
      return { kind: "lifeline", on, room };
    }
  }
}

function fromMember(member: Member): MemberRecord {
  const { addresses } = member;
  if (addresses.length > bounds.addressesMax) throw invalid("a Member of too many addresses");
  return {
    peer: bounded(member.peer, bounds.nameMax, "Member.peer"),
    name: bounded(member.name, bounds.memberNameMax, "Member.name"),
    addresses: addresses.map((address) => bounded(address, bounds.nameMax, "Member.addresses")),
    incarnation: member.incarnation,
    version: member.version,
    left: member.left,
  };
}

function toWireRequest(request: ActionRequest): WireRequest {
  const { action, inputRoot, properties, ...rest } = request;
  return {
    ...rest,
    action: toDigestName(action),
    inputRoot: toDigestName(inputRoot),
    properties: { ...properties },
  };
}

function fromWireRequest(request: WireRequest | undefined): ActionRequest {
  if (request === undefined) throw invalid("an Offer without a request");
  const properties = Object.entries(request.properties);
  if (properties.length > bounds.propertiesMax) throw invalid("an Offer of too many properties");
  return {
    action: fromDigestName(request.action, "Request.action"),
    instance: bounded(request.instance, bounds.textMax, "Request.instance"),
    priority: request.priority,
    user: bounded(request.user, bounds.textMax, "Request.user"),
    invocation: bounded(request.invocation, bounds.textMax, "Request.invocation"),
    kind: bounded(request.kind, bounds.textMax, "Request.kind"),
    inputRoot: fromDigestName(request.inputRoot, "Request.input_root"),
    properties: Object.fromEntries(
      properties.map(([name, value]) => [
        bounded(name, bounds.nameMax, "property"),
        bounded(value, bounds.textMax, name),
      ]),
    ),
    mayMerge: request.mayMerge,
    skipCacheLookup: request.skipCacheLookup,
  };
}

function fromProperties(list: readonly Property[]): Record<string, readonly string[]> {
  if (list.length > bounds.propertiesMax) throw invalid("a Load of too many properties");
  return Object.fromEntries(
    list.map(({ name, values }) => {
      if (values.length > bounds.propertiesMax) throw invalid("a property of too many values");
      const checked = values.map((value) => bounded(value, bounds.textMax, name));
      return [bounded(name, bounds.nameMax, "property"), checked];
    }),
  );
}

function toWireOutcome(outcome: Outcome) {
  if (outcome.kind === "fault") {
    const message = outcome.failure.message.slice(0, bounds.textMax);
    return { $case: "fault" as const, value: { code: outcome.failure.code, message } };
  }
  const { response, exitCode, runMs, spans } = outcome;
  const result = {
    response: toDigestName(response),
    // Exit codes above 2^31 are the same 32 bits with a sign.
    exitCode: exitCode === undefined ? undefined : exitCode | 0,
    runMs: toWireMs(runMs),
    spans: spans && {
      fetchMs: toWireMs(spans.fetchMs),
      setUpMs: toWireMs(spans.setUpMs),
      storeMs: toWireMs(spans.storeMs),
    },
  };
  return { $case: "result" as const, value: result };
}

/** Ms in the range of the wire. An encoder that throws would stop the node over one long run. */
function toWireMs<T extends number | undefined>(ms: T): T | number {
  return ms === undefined ? ms : Math.min(Math.max(0, Math.round(ms)), 0xffff_ffff);
}

function fromWireOutcome(
  outcome: Extract<Payload, { $case: "done" }>["value"]["outcome"],
): Outcome {
  if (outcome === undefined) throw invalid("a Done without an outcome");
  if (outcome.$case === "fault") {
    const message = bounded(outcome.value.message, bounds.textMax, "Fault.message");
    return { kind: "fault", failure: { code: fromCode(outcome.value.code), message } };
  }
  const { response, exitCode, runMs, spans } = outcome.value;
  return {
    kind: "result",
    response: fromDigestName(response, "Result.response"),
    exitCode,
    runMs,
    ...(spans === undefined ? {} : { spans }),
  };
}

function fromCode(text: string): Code {
  const found = codes.find((code) => code === text);
  if (found === undefined) throw invalid("a Fault with an unknown code");
  return found;
}

function toDigestName(digest: Digest): DigestName {
  return { function: toWireFunction(digest.fn), hash: digest.hash, sizeBytes: digest.sizeBytes };
}

function fromDigestName(name: DigestName | undefined, field: string): Digest {
  if (name === undefined) throw invalid(`no ${field}`);
  const fn = fromWireFunction(name.function, name);
  if (!isHash(fn, name.hash) || name.sizeBytes < 0) throw invalid(`a malformed ${field}`);
  return { fn, hash: name.hash, sizeBytes: name.sizeBytes };
}

function fromToken(token: WireToken | undefined): Token {
  if (token === undefined) throw invalid("no token");
  const ingress = bounded(token.ingress, bounds.nameMax, "Token.ingress");
  return { ingress, seq: token.seq, hop: token.hop };
}

function bounded(text: string, max: number, field: string): string {
  if (text.length > max) throw invalid(`a ${field} of over ${max} characters`);
  return text;
}

function invalid(what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `A peer sent ${what}.`);
}
