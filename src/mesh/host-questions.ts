// What one node asks another about itself (proto/builder/node/v1/insight.proto): one stream a
// question, on the connection of an open link, so that only members ask and answer.

import type { Stream } from "@libp2p/interface";
import type { PeerId } from "../core/action.ts";
import { MeshError, wrap } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeFrame } from "../wire/frame.ts";
import { firstFrame } from "./first-frame.ts";
import type { Member } from "./identity.ts";
import { abort } from "./link.ts";
import type { MeshHost } from "./mesh-host.ts";

/** The protocol of proto/builder/node/v1/insight.proto. */
export const insightProtocol = "/builder/insight/1.0.0";

/** Bounds and times of a question. */
export const questionBounds = {
  questionBytesMax: 8192,
  answerBytesMax: 1 << 20,
  /** How long the asked end waits for the question, ms. */
  questionMs: 2000,
};

/** Asks other nodes. */
export interface HostQuestions {
  /** The answer. UNAVAILABLE where the peer is not linked or does not answer in time. */
  ask(peer: PeerId, question: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

/** Answers questions of members from here on, with bytes of at most `answerBytesMax`. */
export async function startHostQuestions(deps: {
  readonly mesh: Pick<MeshHost, "serveProtocol" | "openStream" | "memberOf">;
  readonly answer: (from: Member, question: Uint8Array) => Promise<Uint8Array>;
  readonly log: Log;
}): Promise<HostQuestions> {
  const { mesh, log } = deps;

  async function answer(peer: PeerId, stream: Stream): Promise<void> {
    const { questionBytesMax, questionMs, answerBytesMax } = questionBounds;
    const question = await firstFrame(stream, questionBytesMax, questionMs);
    const from = mesh.memberOf(peer);
    if (from === undefined) throw new MeshError("UNAVAILABLE", "Its link ended.");
    const bytes = await deps.answer(from, question);
    if (bytes.length > answerBytesMax) {
      throw new MeshError("RESOURCE_EXHAUSTED", `An answer of ${bytes.length} bytes is too long.`);
    }
    stream.send(encodeFrame(bytes));
    await stream.close({ signal: AbortSignal.timeout(questionMs) });
  }

  await mesh.serveProtocol(insightProtocol, (peer, stream) => {
    answer(peer, stream).catch((error: unknown) => {
      log("debug", wrap(error, `While answering ${peer}`).message);
      abort(stream, "its question was not answered");
    });
  });

  return {
    ask: async (peer, question, timeoutMs) => {
      const stream = await within(mesh.openStream(peer, insightProtocol), timeoutMs);
      try {
        stream.send(encodeFrame(question));
        return await firstFrame(stream, questionBounds.answerBytesMax, timeoutMs);
      } finally {
        abort(stream, "the question is over");
      }
    },
  };
}

/** A peer that accepts nothing must not hold up who asks; the stream that comes late is let go. */
async function within(opening: Promise<Stream>, timeoutMs: number): Promise<Stream> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new MeshError("UNAVAILABLE", "It did not answer in time."));
    opening.then(
      (stream) => abort(stream, "it came too late"),
      () => undefined,
    );
  }, timeoutMs);
  try {
    return await Promise.race([opening, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
