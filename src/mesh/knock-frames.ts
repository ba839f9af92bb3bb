// The frames of a knock (proto/builder/mesh/v1/knock.proto), read as a stranger's bytes are.

import { codes, MeshError } from "../core/error.ts";
import { printable } from "../telemetry/logger.ts";
import { type Knock, KnockReply, KnockRequest } from "../wire/gen/builder/mesh/v1/knock.ts";
import { certificateBounds } from "./identity.ts";
import { invitationBounds } from "./invitation.ts";
import { nonceBytes } from "./short-code.ts";

/** The protocol of proto/builder/mesh/v1/knock.proto. */
export const knockProtocol = "/builder/knock/1.0.0";

/** Bounds and times of its frames. */
export const knockBounds = {
  requestBytesMax: 1024,
  replyBytesMax: 8192,
  /** Either end waits this long for the other, in ms; not for the last frame. */
  answerMs: 10_000,
  /** A node says again that it waits, in ms: what is silent for 2 minutes is cut off. */
  waitingAgainMs: 30_000,
  /** It is gone where it did not say so for this long, in ms. */
  silenceMs: 90_000,
  /** Names of members told to a newcomer. */
  namesMax: 4,
  /** Characters of a refusal. */
  textMax: 1024,
  meshIdBytesMax: 64,
};

/** What a newcomer says, in its turn. */
export type KnockStep = NonNullable<KnockRequest["step"]>;

/** What a node answers, in its turn. */
export type KnockAnswer = NonNullable<KnockReply["step"]>;

/** A newcomer's frame. INVALID_ARGUMENT where it is none or out of bounds. */
export function readKnockRequest(frame: Uint8Array): KnockStep {
  const { step } = decoded(KnockRequest, frame);
  const isRight =
    step?.$case === "knock"
      ? isKnock(step.value)
      : step !== undefined && step.value.nonce.length === nonceBytes;
  if (step === undefined || !isRight) throw malformed();
  return step;
}

/** A node's frame. INVALID_ARGUMENT where it is none or out of bounds. */
export function readKnockReply(frame: Uint8Array): KnockAnswer {
  const { step } = decoded(KnockReply, frame);
  if (step === undefined || !isReply(step)) throw malformed();
  return step;
}

/** A refusal as an error, with the node's own words, made safe for a terminal. */
export function refusalOf({ code, message }: { code: string; message: string }): MeshError {
  const known = codes.find((one) => one === code) ?? "UNAUTHENTICATED";
  return new MeshError(known, printable(message.slice(0, knockBounds.textMax)));
}

function isKnock({ meshId, commitment, name, software }: Knock): boolean {
  const { nameMax } = certificateBounds;
  return (
    meshId.length <= knockBounds.meshIdBytesMax &&
    commitment.length === nonceBytes &&
    name.length <= nameMax &&
    software.length <= nameMax
  );
}

function isReply(step: KnockAnswer): boolean {
  switch (step.$case) {
    case "nonce":
      return step.value.nonce.length === nonceBytes;
    case "letIn":
      return step.value.secret.length === invitationBounds.secretBytes;
    case "elsewhere": {
      const { names } = step.value;
      const { nameMax } = certificateBounds;
      return names.length <= knockBounds.namesMax && names.every((name) => name.length <= nameMax);
    }
    default:
      return true;
  }
}

function decoded<T>(type: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
}

function malformed(cause?: unknown): MeshError {
  const text = "What the other end says of a knock makes no sense. Is it as new as us?";
  return new MeshError("INVALID_ARGUMENT", text, { cause });
}
