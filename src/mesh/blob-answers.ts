// The answering end of a blob stream: from this host's own store only, so that no question travels
// in circles.

import type { Stream } from "@libp2p/interface";
import type { ActionCache } from "../cas/action-cache.ts";
import { digestKey } from "../core/digest.ts";
import { type Failure, failureOf, MeshError } from "../core/error.ts";
import { type BlobFrame, blobBounds } from "../wire/blob-codec.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type BlobStream, startBlobStream } from "./blob-stream.ts";
import { packParts, type ServedStore } from "./pack-parts.ts";
import { createPartsTaker, type PartsTaker } from "./take-parts.ts";

/** Bounds of what one peer may ask for. */
export interface AnswerOptions {
  /** Largest blob taken from a peer, in bytes. */
  readonly blobBytesMax: number;
  /** Bytes received and not yet stored before the peer is held back. */
  readonly unstoredBytesMax: number;
}

/** Answers over one stream until it ends. */
export interface BlobAnswers {
  close(why: string): void;
}

type Asked<Kind extends BlobFrame["kind"]> = Extract<BlobFrame, { kind: Kind }>;

/** Starts answering. `closed` is told whether the peer lied. */
export function startBlobAnswers(
  deps: {
    readonly stream: Stream;
    readonly store: ServedStore;
    readonly actions: ActionCache;
    readonly rttMs: () => number | undefined;
    readonly closed: (why: string, lied: boolean) => void;
  },
  options: AnswerOptions,
): BlobAnswers {
  const { store, actions } = deps;
  const takerById = new Map<number, PartsTaker>();
  const busyIds = new Set<number>();
  const enough = new Set<number>();
  let unstored = 0;

  const stream: BlobStream = startBlobStream(
    deps.stream,
    {
      frame: (frame) => take(frame),
      closed: (why, lied) => {
        for (const taker of takerById.values()) taker.stop();
        takerById.clear();
        for (const id of busyIds) enough.add(id);
        deps.closed(why, lied);
      },
    },
    deps.rttMs,
  );

  function waiting(change: number): void {
    const wasOver = unstored > options.unstoredBytesMax;
    unstored += change;
    const isOver = unstored > options.unstoredBytesMax;
    if (isOver && !wasOver) stream.holdBack();
    if (!isOver && wasOver) stream.letGo();
  }

  function take(frame: BlobFrame): void {
    switch (frame.kind) {
      case "enough":
        stopAnswer(frame.id);
        return;
      case "parts":
      case "end": {
        const taker = takerById.get(frame.id);
        if (taker === undefined) throw broken("it sent blobs without Put");
        if (frame.kind === "parts") taker.take(frame);
        else finishPut(frame.id, taker, frame.missing);
        return;
      }
      case "missing":
      case "stored":
      case "cachedResult":
        throw broken("it answered where it should ask");
      default:
        begin(frame);
    }
  }

  function stopAnswer(id: number): void {
    const taker = takerById.get(id);
    takerById.delete(id);
    taker?.stop();
    if (taker !== undefined) finish(id, sendStored(id, [], givenUp));
    else if (busyIds.has(id)) enough.add(id);
  }

  function begin(frame: Asked<"want" | "ask" | "put" | "getResult" | "putResult">): void {
    const { id } = frame;
    if (busyIds.has(id)) throw broken("it used a request's number twice");
    if (busyIds.size >= blobBounds.requestsMax) throw broken("it asked too much at once");
    busyIds.add(id);
    if (frame.kind === "put") beginPut(frame);
    else finish(id, answer(frame));
  }

  function finish(id: number, work: Promise<void>): void {
    work
      // The stream is gone, or this host is at fault: either way the peer asks elsewhere.
      .catch((error: unknown) => stream.close(failureOf(error).message))
      .finally(() => {
        busyIds.delete(id);
        enough.delete(id);
      });
  }

  function answer(frame: Asked<"want" | "ask" | "getResult" | "putResult">): Promise<void> {
    switch (frame.kind) {
      case "want":
        return answerWant(frame);
      case "ask":
        return answerAsk(frame);
      case "getResult":
        return answerGetResult(frame);
      case "putResult":
        return answerPutResult(frame);
    }
  }

  async function answerWant({ id, digests }: Asked<"want">): Promise<void> {
    const missing: number[] = [];
    for await (const parts of packParts(store, id, digests, missing)) {
      if (enough.has(id)) break;
      await stream.sendParts(parts);
    }
    await stream.send({ kind: "end", id, missing });
  }

  async function answerAsk({ id, digests }: Asked<"ask">): Promise<void> {
    const missing = new Set((await store.missing(digests)).map(digestKey));
    const places = digests.flatMap((one, place) => (missing.has(digestKey(one)) ? [place] : []));
    await stream.send({ kind: "missing", id, missing: places });
  }

  async function answerGetResult({ id, key }: Asked<"getResult">): Promise<void> {
    const found = await actions.get(key).catch(() => undefined);
    const fits = found !== undefined && found.bytes.length <= blobBounds.resultBytesMax;
    await stream.send({ kind: "cachedResult", id, result: fits ? found : undefined });
  }

  async function answerPutResult({ id, key, bytes }: Asked<"putResult">): Promise<void> {
    if (!isResult(bytes)) throw broken("it sent a result that is none");
    const failure = await actions.put(key, bytes).then(() => undefined, failureOf);
    await sendStored(id, [], failure);
  }

  function beginPut({ id, digests }: Asked<"put">): void {
    const large = digests.find(({ sizeBytes }) => sizeBytes > options.blobBytesMax);
    if (large !== undefined) {
      throw broken(`it sent a blob of ${large.sizeBytes} bytes, over the ${options.blobBytesMax}`);
    }
    takerById.set(id, createPartsTaker(store, digests, { waiting }));
  }

  function finishPut(id: number, taker: PartsTaker, missing: readonly number[]): void {
    takerById.delete(id);
    const work = taker.end(missing).then(
      ({ absent, refusal }) => sendStored(id, absent, refusal),
      (error: unknown) => stream.close(failureOf(error).message, true),
    );
    finish(id, work);
  }

  function sendStored(
    id: number,
    refused: readonly number[],
    failure: Failure | undefined,
  ): Promise<void> {
    const { code, message } = failure ?? { code: undefined, message: "" };
    return stream.send({ kind: "stored", id, refused, code, message });
  }

  return { close: (why) => stream.close(why) };
}

const givenUp: Failure = { code: "CANCELLED", message: "It was given up." };

function isResult(bytes: Uint8Array): boolean {
  try {
    ActionResult.decode(bytes);
    return bytes.length > 0;
  } catch {
    return false;
  }
}

function broken(what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `The peer broke the blob protocol: ${what}.`);
}
