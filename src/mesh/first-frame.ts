// Protocols of one question and one answer: each end reads a single frame.

import type { Stream } from "@libp2p/interface";
import { MeshError } from "../core/error.ts";
import { FrameDecoder } from "../wire/frame.ts";

/**
 * The first frame of a stream. UNAVAILABLE where it does not come within `timeoutMs` or the other
 * end hangs up; RESOURCE_EXHAUSTED for one of more than `frameBytesMax`.
 */
export async function firstFrame(
  stream: Stream,
  frameBytesMax: number,
  timeoutMs: number,
): Promise<Uint8Array> {
  const decoder = new FrameDecoder({ frameBytesMax });
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const gaveUp = (why: string) => reject(new MeshError("UNAVAILABLE", why));
  const timer = setTimeout(() => gaveUp("It did not answer in time."), timeoutMs);
  stream.addEventListener("message", ({ data }) => {
    try {
      const [frame] = decoder.push(data instanceof Uint8Array ? data : data.subarray());
      if (frame !== undefined) resolve(frame);
    } catch (error) {
      reject(error);
    }
  });
  stream.addEventListener("close", () => gaveUp("It hung up."));
  stream.addEventListener("remoteCloseWrite", () => gaveUp("It hung up."));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
