// Knocking at a node of a mesh: the newcomer's side of proto/builder/mesh/v1/knock.proto.

import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Libp2p } from "libp2p";
import type { PeerId } from "../core/action.ts";
import { type Failure, failureOf, MeshError, wrap } from "../core/error.ts";
import { knockDefaults } from "../core/knocks.ts";
import { encodeFrame } from "../wire/frame.ts";
import { KnockRequest } from "../wire/gen/builder/mesh/v1/knock.ts";
import { type FrameReader, readFrames } from "./frame-reader.ts";
import { certificateBounds, generateNodeKey } from "./identity.ts";
import {
  type KnockAnswer,
  type KnockStep,
  knockBounds,
  knockProtocol,
  readKnockReply,
  refusalOf,
} from "./knock-frames.ts";
import { commitmentTo, newNonce, shortCode } from "./short-code.ts";
import { createPeer } from "./transport.ts";

/** A node to knock at. */
export interface KnockedNode {
  /** The mesh that it shall be of: the authority's public key, serialised. */
  readonly meshId: Uint8Array;
  readonly peer: PeerId;
  /** Multiaddr without a peer id. */
  readonly address: string;
}

/** What came of a knock. */
export type Knocked =
  /** The secret of an invitation of that node, for one machine. */
  | { readonly kind: "letIn"; readonly secret: Uint8Array }
  /** That member lets nobody in; these do, by their names. */
  | { readonly kind: "elsewhere"; readonly names: readonly string[] }
  /** It did not come to a code; another node may be asked. */
  | { readonly kind: "failed"; readonly failure: Failure };

/**
 * Knocks once, as nobody in particular: with a key for this knock only. `onCode` is told the six
 * digits as soon as that node waits for them. Rejects where it then does not let in: with its own
 * words, DEADLINE_EXCEEDED, UNAVAILABLE where it went away; CANCELLED where `signal` ended it.
 */
export async function knock(
  at: KnockedNode,
  as: { readonly name: string; readonly software: string },
  { signal, onCode }: { readonly signal: AbortSignal; readonly onCode: (code: string) => void },
): Promise<Knocked> {
  const node = await createPeer(await generateNodeKey(), []);
  const leave = () => void node.stop();
  signal.addEventListener("abort", leave);
  try {
    signal.throwIfAborted();
    const nonce = newNonce();
    const asked = await begin(node, at, as, commitmentTo(nonce)).catch(failed);
    if (asked.kind !== "asked") return asked;
    const { stream, frames, nonce: nodeNonce } = asked;
    say(stream, { $case: "reveal", value: { nonce } });
    const taken = await next(frames, knockBounds.answerMs);
    if (taken.$case !== "waiting") throw outOfTurn();
    const sides = { newcomer: node.peerId.toString(), node: at.peer };
    const nonces = { newcomerNonce: nonce, nodeNonce };
    onCode(shortCode({ meshId: at.meshId, ...sides, ...nonces }));
    return { kind: "letIn", secret: await secretOf(frames) };
  } catch (error) {
    if (signal.aborted) throw new MeshError("CANCELLED", "The knock was ended.", { cause: error });
    throw error instanceof MeshError ? error : wrap(error, "While knocking");
  } finally {
    signal.removeEventListener("abort", leave);
    await node.stop();
  }
}

interface Asked {
  readonly kind: "asked";
  readonly stream: Stream;
  readonly frames: FrameReader;
  /** The node's. */
  readonly nonce: Uint8Array;
}

/** As far as the node's nonce. */
async function begin(
  node: Libp2p,
  { meshId, peer, address }: KnockedNode,
  { name, software }: { readonly name: string; readonly software: string },
  commitment: Uint8Array,
): Promise<Asked | Knocked> {
  const { answerMs, replyBytesMax } = knockBounds;
  const target = multiaddr(`${address}/p2p/${peer}`);
  const signal = AbortSignal.timeout(answerMs);
  const stream = await node.dialProtocol(target, knockProtocol, { signal });
  const frames = readFrames(stream, replyBytesMax);
  const short = (text: string) => text.slice(0, certificateBounds.nameMax);
  const said = { meshId, commitment, name: short(name), software: short(software) };
  say(stream, { $case: "knock", value: { ...said, protocolMinor: 0 } });
  const answer = await next(frames, answerMs);
  if (answer.$case === "elsewhere") return { kind: "elsewhere", names: answer.value.names };
  if (answer.$case !== "nonce") throw outOfTurn();
  return { kind: "asked", stream, frames, nonce: answer.value.nonce };
}

/** Waits until it is let in. */
async function secretOf(frames: FrameReader): Promise<Uint8Array> {
  const { waitingAgainMs, silenceMs } = knockBounds;
  const waitingsMax = Math.ceil(knockDefaults.waitMs / waitingAgainMs) + 1;
  for (let waitings = 0; waitings <= waitingsMax; waitings += 1) {
    const answer = await next(frames, silenceMs);
    if (answer.$case === "letIn") return answer.value.secret;
    if (answer.$case !== "waiting") break;
  }
  throw outOfTurn();
}

function failed(error: unknown): Knocked {
  return { kind: "failed", failure: failureOf(error) };
}

function say(stream: Stream, step: KnockStep): void {
  stream.send(encodeFrame(KnockRequest.encode({ step }).finish()));
}

/** The node's next frame; its refusal as an error. */
async function next(
  frames: FrameReader,
  timeoutMs: number,
): Promise<Exclude<KnockAnswer, { $case: "refusal" }>> {
  const frame = await frames.next(timeoutMs).catch((cause: unknown) => {
    const { code } = failureOf(cause);
    throw code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" ? wentAway(cause) : cause;
  });
  const answer = readKnockReply(frame);
  if (answer.$case === "refusal") throw refusalOf(answer.value);
  return answer;
}

function wentAway(cause: unknown): MeshError {
  const text = "The node went away before it let this machine in. Knock again.";
  return new MeshError("UNAVAILABLE", text, { cause });
}

function outOfTurn(): MeshError {
  return new MeshError("INVALID_ARGUMENT", "The node spoke out of turn. Is it as new as us?");
}
