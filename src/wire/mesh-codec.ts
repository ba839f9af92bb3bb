// The core's messages ⇄ bytes of the peer protocol (proto/builder/mesh/v1/mesh.proto). Peers are
// members and may still lie: every length and list is bounded before the core sees it.

import type { ActionRequest, Outcome, Token } from "../core/action.ts";
import { type Digest, isHash } from "../core/digest.ts";
import { type Code, codes, MeshError } from "../core/error.ts";
import type { Message } from "../core/message.ts";
import { encodeBytes } from "./encode.ts";
import {
  type DigestName,
  Envelope,
  type Property,
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

/** Anything one node sends another after Hello. */
export type PeerMessage = Message | OutputMessage;

/** A message as the bytes of one frame. */
export function encodeMessage(message: PeerMessage): Uint8Array {
  return encodeBytes(Envelope, { message: toPayload(message) });
}

/** A frame as a message. INVALID_ARGUMENT says what is wrong with it. */
export function decodeMessage(bytes: Uint8Array): PeerMessage {
  let envelope: Envelope;
  try {
    envelope = Envelope.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "A peer sent bytes that are no Envelope.", { cause });
  }
  if (envelope.message === undefined) throw invalid("an Envelope without a message");
  return fromPayload(envelope.message);
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
  }
}

function fromPayload(payload: Payload): PeerMessage {
  switch (payload.$case) {
    case "hello":
      throw invalid("a second Hello");
    case "load": {
      const { value: load } = payload;
      if (load.slots > bounds.slotsMax || load.free > load.slots) throw invalid("a Load's slots");
      return {
        kind: "load",
        name: bounded(load.name, bounds.nameMax, "Load.name"),
        slots: load.slots,
        free: load.free,
        queued: load.queued,
        draining: load.draining,
        isolation: bounded(load.isolation, bounds.nameMax, "Load.isolation"),
        properties: fromProperties(load.properties),
      };
    }
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
  }
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
  const { response, exitCode, runMs } = outcome;
  const result = {
    response: toDigestName(response),
    // Exit codes above 2^31 are the same 32 bits with a sign.
    exitCode: exitCode === undefined ? undefined : exitCode | 0,
    runMs: toWireMs(runMs),
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
  const { response, exitCode, runMs } = outcome.value;
  return {
    kind: "result",
    response: fromDigestName(response, "Result.response"),
    exitCode,
    runMs,
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
