// A member's door for machines without an invitation: newcomers knock at it, and whoever runs the
// node lets in the one whose code was typed (src/core/knocks.ts decides).

import type { Connection, Stream } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import type { PeerId } from "../core/action.ts";
import { type Failure, failureOf, MeshError, wrap } from "../core/error.ts";
import {
  guessedAt,
  type Knocker,
  type KnockOptions,
  Knocks,
  knockDefaults,
  unanswered,
  type WaitingKnock,
} from "../core/knocks.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeFrame } from "../wire/frame.ts";
import { type Knock, KnockReply } from "../wire/gen/builder/mesh/v1/knock.ts";
import { joinBounds } from "./enrolment.ts";
import { type FrameReader, readFrames } from "./frame-reader.ts";
import { certificateBounds } from "./identity.ts";
import { type KnockAnswer, knockBounds, knockProtocol, readKnockRequest } from "./knock-frames.ts";
import { abort } from "./link.ts";
import { commitmentTo, newNonce, shortCode } from "./short-code.ts";
import { createTries } from "./tries.ts";

/** A door. */
export interface KnockDoor {
  /** Answers newcomers on `node` from here on. */
  serve(node: Libp2p): Promise<void>;
  /** Whom a code would let in, the longest waiting first. */
  waiting(): readonly WaitingKnock[];
  /** Lets in who has this code; errors as `Knocks.admit`, and those of `invite`. */
  admit(code: string): Knocker;
}

/** What a door works with. */
export interface KnockDoorDeps {
  /** The authority's public key, serialised. */
  readonly meshId: Uint8Array;
  /** A new secret for one machine to join with. Undefined where this node lets nobody in. */
  readonly invite: (() => Uint8Array) | undefined;
  /** Names of linked members that let others in. */
  readonly admins: () => readonly string[];
  readonly log: Log;
  readonly now: () => number;
}

/** How often it is looked whether somebody has knocked for too long, in ms. */
const lookMs = 1000;

/** A door to the mesh of `meshId`. */
export function createKnockDoor(
  deps: KnockDoorDeps,
  options: KnockOptions = knockDefaults,
): KnockDoor {
  const knocks = new Knocks(options);
  const { triesPerMinute, addressesMax } = joinBounds;
  const tries = createTries({ perMinute: triesPerMinute, addressesMax });
  const answerById = new Map<number, (answer: KnockAnswer) => void>();
  let begun = 0;
  let looking: NodeJS.Timeout | undefined;

  function settle(ids: readonly number[], answer: KnockAnswer): void {
    for (const id of ids) answerById.get(id)?.(answer);
  }

  function expire(): void {
    settle(knocks.expire(deps.now()), refusal(unanswered(options.waitMs)));
  }

  function lookFromNowOn(): void {
    looking ??= setInterval(() => {
      expire();
      if (knocks.size > 0) return;
      clearInterval(looking);
      looking = undefined;
    }, lookMs).unref();
  }

  /** Hears a newcomer to the end: the last thing to say to it. */
  async function hear(on: Talk): Promise<KnockAnswer> {
    const asked = readKnockRequest(await on.frames.next(knockBounds.answerMs));
    if (asked.$case !== "knock") throw outOfTurn();
    const { meshId, name } = asked.value;
    if (!tries.allow(on.address, deps.now())) return refusal(tooMany);
    if (Buffer.compare(meshId, deps.meshId) !== 0) return refusal(otherMesh);
    if (deps.invite === undefined) {
      return { $case: "elsewhere", value: { names: shortNames(deps.admins()) } };
    }
    expire();
    begun += 1;
    const id = begun;
    const knocker = { peer: on.newcomer, name, address: on.address };
    const failure = knocks.begin(id, knocker, deps.now());
    if (failure !== undefined) return refusal(failure);
    lookFromNowOn();
    try {
      const clash = knocks.reveal(id, await agree(on, asked.value));
      if (clash !== undefined) return refusal(clash);
      say(on.stream, waiting);
      deps.log("info", `${name || on.newcomer} at ${on.address} knocks. ${howToLetIn}`);
      return await outcome(id, on);
    } finally {
      knocks.end(id);
    }
  }

  /** What becomes of a knock; rejects when the newcomer goes away, or speaks out of turn. */
  async function outcome(id: number, { stream, frames }: Talk): Promise<KnockAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<KnockAnswer>();
    answerById.set(id, resolve);
    const again = setInterval(() => {
      try {
        say(stream, waiting);
      } catch (error) {
        reject(error);
      }
    }, knockBounds.waitingAgainMs);
    // Of the two ends that time makes, that of the look comes first.
    const gone = frames.next(2 * options.waitMs).then(() => Promise.reject(outOfTurn()));
    try {
      return await Promise.race([promise, gone]);
    } finally {
      clearInterval(again);
      answerById.delete(id);
    }
  }

  function letIn(id: number, invite: () => Uint8Array): void {
    try {
      settle([id], { $case: "letIn", value: { secret: invite() } });
    } catch (error) {
      settle([id], refusal(failureOf(error)));
      throw error;
    }
  }

  return {
    serve: (node) => serve(node, deps.log, hear),
    waiting: () => {
      expire();
      return knocks.waiting(deps.now());
    },
    admit: (code) => {
      expire();
      const verdict = knocks.admit(code);
      if (verdict.kind === "refused") {
        settle(verdict.ended, refusal(guessedAt));
        throw new MeshError(verdict.failure.code, verdict.failure.message);
      }
      const { id, knocker } = verdict;
      if (deps.invite !== undefined) letIn(id, deps.invite);
      deps.log("info", `${knocker.name || knocker.peer} at ${knocker.address} was let in`);
      return knocker;
    },
  };
}

/** A newcomer that is heard. */
interface Talk {
  readonly stream: Stream;
  readonly frames: FrameReader;
  readonly newcomer: PeerId;
  readonly node: PeerId;
  readonly address: string;
}

async function serve(
  node: Libp2p,
  log: Log,
  hear: (on: Talk) => Promise<KnockAnswer>,
): Promise<void> {
  async function answer(stream: Stream, { remotePeer, remoteAddr }: Connection): Promise<void> {
    const last = await hear({
      stream,
      frames: readFrames(stream, knockBounds.requestBytesMax),
      newcomer: remotePeer.toString(),
      node: node.peerId.toString(),
      // `/ip4/192.168.1.40/tcp/51234`
      address: remoteAddr.toString().split("/")[2] ?? "",
    });
    say(stream, last);
    await stream.close({ signal: AbortSignal.timeout(knockBounds.answerMs) });
  }

  await node.handle(
    knockProtocol,
    (stream, connection) =>
      answer(stream, connection).catch((error: unknown) => {
        log("debug", wrap(error, "While somebody knocked").message);
        abort(stream, "the knock is over");
      }),
    { maxInboundStreams: 1, maxOutboundStreams: 1 },
  );
}

/** The code to which both ends come. INVALID_ARGUMENT for another nonce than was promised. */
async function agree(on: Talk, { meshId, commitment }: Knock): Promise<string> {
  const nodeNonce = newNonce();
  say(on.stream, { $case: "nonce", value: { nonce: nodeNonce } });
  const revealed = readKnockRequest(await on.frames.next(knockBounds.answerMs));
  if (revealed.$case !== "reveal") throw outOfTurn();
  const { nonce: newcomerNonce } = revealed.value;
  if (Buffer.compare(commitmentTo(newcomerNonce), commitment) !== 0) {
    throw new MeshError("INVALID_ARGUMENT", "A newcomer shows another nonce than it was bound to.");
  }
  const { newcomer, node } = on;
  return shortCode({ meshId, newcomer, node, newcomerNonce, nodeNonce });
}

function say(stream: Stream, step: KnockAnswer): void {
  stream.send(encodeFrame(KnockReply.encode({ step }).finish()));
}

function refusal({ code, message }: Failure): KnockAnswer {
  return { $case: "refusal", value: { code, message: message.slice(0, knockBounds.textMax) } };
}

function shortNames(names: readonly string[]): string[] {
  return names
    .slice(0, knockBounds.namesMax)
    .map((name) => name.slice(0, certificateBounds.nameMax));
}

const waiting: KnockAnswer = { $case: "waiting", value: {} };

const howToLetIn = "`builder mesh admit CODE` lets it in, with the code on its own screen.";

const tooMany: Failure = {
  code: "RESOURCE_EXHAUSTED",
  message: "Those were too many knocks within a minute. Wait one, then try again.",
};

const otherMesh: Failure = {
  code: "NOT_FOUND",
  message: "That node is of another mesh by now. Look again: builder join --lan.",
};

function outOfTurn(): MeshError {
  return new MeshError("INVALID_ARGUMENT", "A newcomer spoke out of turn.");
}
