// Frames of the blob protocol over one libp2p stream: writing waits for a slow peer, reading is
// held back while this host's disk is slow.

import type { Stream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { failureOf, MeshError } from "../core/error.ts";
import {
  type BlobFrame,
  blobBounds,
  decodeBlobFrame,
  encodePlainFrame,
  type PlainFrame,
} from "../wire/blob-codec.ts";
import { encodeFrame, FrameDecoder } from "../wire/frame.ts";
import { abort } from "./link.ts";
import type { PackedParts } from "./pack-parts.ts";
import { windowBytesMax } from "./transport.ts";
import { spareWindowUpdates } from "./window-updates.ts";

/** The protocol of proto/builder/mesh/v1/blobs.proto. */
export const blobProtocol = "/builder/blobs/1.0.0";

/** Bound: bytes that may wait for a slow peer before who writes more has to wait. */
const unsentBytesMax = 1 << 20;
/** Bound: bytes that wait for more of the same moment before they leave. */
const joinedBytesMax = 64 << 10;
/** Bound: bytes the library keeps of a stream that is held back; its largest window and some. */
const heldBackBytesMax = windowBytesMax + (1 << 20);

/** What is done with what the other end sends. */
export interface BlobStreamEvents {
  /** Throws for a frame that breaks the protocol: the stream ends. */
  frame(frame: BlobFrame): void;
  /** Called once. `lied` where the other end broke the protocol. */
  closed(why: string, lied: boolean): void;
}

/** One end of a blob stream. */
export interface BlobStream {
  /** Resolves when more may be written. UNAVAILABLE once the stream has ended. */
  send(frame: PlainFrame): Promise<void>;
  sendParts(parts: PackedParts): Promise<void>;
  /** Holds reading back until every holder has let go again. */
  holdBack(): void;
  letGo(): void;
  readonly heldBack: boolean;
  close(why: string, lied?: boolean): void;
}

/** Takes over a stream. `rttMs` tells how long its line takes there and back, where that is known. */
export function startBlobStream(
  stream: Stream,
  events: BlobStreamEvents,
  rttMs: () => number | undefined,
): BlobStream {
  spareWindowUpdates(stream, rttMs);
  stream.maxReadBufferLength = heldBackBytesMax;
  const decoder = new FrameDecoder({ frameBytesMax: blobBounds.frameBytesMax });
  let ended: string | undefined;
  let holders = 0;
  let roomWaiters: (() => void)[] = [];
  /** Frames of this moment: one send seals and writes them all, which costs as much as one. */
  let outbox = new Uint8ArrayList();
  let isFlushDue = false;

  function close(why: string, lied = false): void {
    if (ended !== undefined) return;
    ended = why;
    abort(stream, why);
    wakeWriters();
    events.closed(why, lied);
  }

  function wakeWriters(): void {
    const waiters = roomWaiters;
    roomWaiters = [];
    for (const wake of waiters) wake();
  }

  function flush(): void {
    isFlushDue = false;
    const bytes = outbox;
    outbox = new Uint8ArrayList();
    if (ended !== undefined || bytes.byteLength === 0) return;
    try {
      stream.send(bytes);
    } catch (error) {
      close(failureOf(error).message);
    }
  }

  async function write(...pieces: readonly Uint8Array[]): Promise<void> {
    if (ended !== undefined) throw gone(ended);
    for (const piece of pieces) outbox.append(piece);
    if (outbox.byteLength >= joinedBytesMax) flush();
    else if (!isFlushDue) {
      // After all that follows from what was heard: a Put, its bytes and its End are one write.
      process.nextTick(flush);
      isFlushDue = true;
    }
    while (ended === undefined && stream.writeBufferLength > unsentBytesMax) {
      await new Promise<void>((resolve) => roomWaiters.push(resolve));
    }
    if (ended !== undefined) throw gone(ended);
  }

  stream.addEventListener("message", (event) => {
    const bytes = event.data instanceof Uint8Array ? event.data : event.data.subarray();
    try {
      for (const frame of decoder.push(bytes)) {
        const decoded = ended === undefined ? decodeBlobFrame(frame) : undefined;
        if (decoded !== undefined) events.frame(decoded);
      }
    } catch (error) {
      close(failureOf(error).message, true);
    }
  });
  // The library sends what waits a moment after it tells that there is room.
  stream.addEventListener("drain", () => setImmediate(wakeWriters));
  stream.addEventListener("idle", () => setImmediate(wakeWriters));
  stream.addEventListener("close", () => close("the stream ended"));
  stream.addEventListener("remoteCloseWrite", () => close("the other end hung up"));

  return {
    send: (frame) => write(encodeFrame(encodePlainFrame(frame))),
    sendParts: ({ head, data }) => write(head, ...data),
    holdBack: () => {
      holders += 1;
      if (holders === 1 && stream.readStatus === "readable") stream.pause();
    },
    letGo: () => {
      holders -= 1;
      if (holders === 0 && stream.readStatus === "paused") stream.resume();
    },
    get heldBack() {
      return holders > 0;
    },
    close,
  };
}

function gone(why: string): MeshError {
  return new MeshError("UNAVAILABLE", `The exchange of blobs broke off: ${why}. Try again.`);
}
