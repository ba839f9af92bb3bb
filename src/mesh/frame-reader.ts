// Protocols of several frames in turn: what comes is kept until it is asked for.

import type { Stream } from "@libp2p/interface";
import { MeshError } from "../core/error.ts";
import { FrameDecoder } from "../wire/frame.ts";

/** The frames of a stream. */
export interface FrameReader {
  /**
   * The next frame. DEADLINE_EXCEEDED where it does not come within `timeoutMs`, UNAVAILABLE where
   * the other end hangs up; where it broke the protocol, what it did.
   */
  next(timeoutMs: number): Promise<Uint8Array>;
}

/** Bound: frames that came and were not asked for yet. */
const keptMax = 4;

/** Reads a stream from now on; frames have at most `frameBytesMax` bytes. */
export function readFrames(stream: Stream, frameBytesMax: number): FrameReader {
  const decoder = new FrameDecoder({ frameBytesMax });
  const kept: Uint8Array[] = [];
  let end: unknown;
  let wake: () => void = () => undefined;

  const finish = (why: unknown) => {
    end ??= why;
    wake();
  };
  stream.addEventListener("message", ({ data }) => {
    if (end !== undefined) return;
    try {
      kept.push(...decoder.push(data instanceof Uint8Array ? data : data.subarray()));
      if (kept.length > keptMax) {
        throw new MeshError("RESOURCE_EXHAUSTED", "It sends frames that nobody asked for.");
      }
      wake();
    } catch (error) {
      finish(error);
    }
  });
  const hungUp = () => finish(new MeshError("UNAVAILABLE", "It hung up."));
  stream.addEventListener("close", hungUp);
  stream.addEventListener("remoteCloseWrite", hungUp);

  return {
    next: async (timeoutMs) => {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      const late = new MeshError("DEADLINE_EXCEEDED", "It did not answer in time.");
      const timer = setTimeout(() => reject(late), timeoutMs);
      wake = () => {
        const frame = kept.shift();
        if (frame !== undefined) resolve(frame);
        else if (end !== undefined) reject(end);
        else return;
        // What comes before the asker goes on is for its next question.
        wake = () => undefined;
      };
      wake();
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        wake = () => undefined;
      }
    },
  };
}
