// The asking end of a blob stream: requests under way by id, what each still waits for, and who has
// to be given up.

import type { Stream } from "@libp2p/interface";
import type { ActionKey, CachedResult } from "../cas/action-cache.ts";
import type { PeerCall } from "../cas/peer-blobs.ts";
import { absent } from "../cas/verify.ts";
import type { PeerId } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { type BlobFrame, blobBounds, type PlainFrame } from "../wire/blob-codec.ts";
import { type BlobStream, startBlobStream } from "./blob-stream.ts";
import { packParts, type ServedStore } from "./pack-parts.ts";
import { createPartsTaker, type PartsTaker } from "./take-parts.ts";

/** Bounds and times of requests to one peer. */
export interface RequestOptions {
  /** Requests at once; further ones wait for their turn. At most `blobBounds.requestsMax`. */
  readonly requestsAtOnce: number;
  /** Without progress for so long, in ms, a request is told to have stalled. */
  readonly stallMs: number;
  /** Without progress for so long, in ms, a request is given up. */
  readonly giveUpMs: number;
  /** Bytes received and not yet stored before the peer is held back. */
  readonly unstoredBytesMax: number;
}

/** Requests over one stream. Failures are those of `PeerBlobs`. */
export interface BlobRequests {
  fetch(digests: readonly Digest[], call: PeerCall): Promise<Digest[]>;
  ask(digests: readonly Digest[], call: PeerCall): Promise<Digest[]>;
  put(digests: readonly Digest[], call: PeerCall): Promise<void>;
  getResult(key: ActionKey, call: PeerCall): Promise<CachedResult | undefined>;
  putResult(key: ActionKey, bytes: Uint8Array, call: PeerCall): Promise<void>;
  close(why: string): void;
}

type Answer = Extract<BlobFrame, { kind: "end" | "missing" | "stored" | "cachedResult" }>;
type AnswerKind = Answer["kind"];

/** How often slowness is looked for, in ms. */
const lookMs = 50;

interface Request {
  readonly id: number;
  readonly expects: AnswerKind;
  readonly call: PeerCall;
  readonly taker: PartsTaker | undefined;
  resolve(answer: Answer): void;
  reject(error: MeshError): void;
  /** Of `performance.now()`. */
  progressAtMs: number;
  stalled: boolean;
  /** Given up: its answer is still awaited, and nobody's any more. */
  over: boolean;
}

/** Speaks over `stream` until it ends. `closed` is told whether the peer lied. */
export function startBlobRequests(
  deps: {
    readonly peer: PeerId;
    readonly stream: Stream;
    readonly store: ServedStore;
    readonly rttMs: () => number | undefined;
    readonly closed: (why: string, lied: boolean) => void;
  },
  options: RequestOptions,
): BlobRequests {
  const { peer, store } = deps;
  const requests = new Map<number, Request>();
  const turns: (() => void)[] = [];
  let underWay = 0;
  let unstored = 0;
  let nextId = 1;
  let ended = false;
  let watch: NodeJS.Timeout | undefined;

  const stream: BlobStream = startBlobStream(
    deps.stream,
    {
      frame: (frame) => take(frame),
      closed: (why, lied) => {
        ended = true;
        stopWatch();
        const code = lied ? "DATA_LOSS" : "UNAVAILABLE";
        for (const request of requests.values()) {
          request.taker?.stop();
          request.reject(new MeshError(code, `Peer ${peer}: ${why}.`));
        }
        requests.clear();
        for (const turn of turns.splice(0)) turn();
        deps.closed(why, lied);
      },
    },
    deps.rttMs,
  );
  function take(frame: BlobFrame): void {
    const request = requests.get(frame.id);
    if (request === undefined) throw unasked();
    request.progressAtMs = performance.now();
    if (frame.kind === "parts") {
      if (request.taker === undefined) throw unasked();
      if (request.over) return;
      request.taker.take(frame);
      const refusal = request.taker.refusal();
      if (refusal !== undefined) giveUp(request, new MeshError(refusal.code, refusal.message));
      return;
    }
    if (frame.kind !== request.expects || !isAnswer(frame)) throw unasked();
    requests.delete(frame.id);
    if (requests.size === 0) stopWatch();
    nextTurn();
    request.resolve(frame);
  }

  /** Counts what waits for this host's disk, and holds the peer back while it is too much. */
  function waiting(change: number): void {
    const wasOver = unstored > options.unstoredBytesMax;
    unstored += change;
    const isOver = unstored > options.unstoredBytesMax;
    if (isOver && !wasOver) stream.holdBack();
    if (!isOver && wasOver) stream.letGo();
  }

  /** Only while something is under way: an idle link wakes nobody. */
  function startWatch(): void {
    watch ??= setInterval(look, lookMs);
    watch.unref();
  }

  function stopWatch(): void {
    clearInterval(watch);
    watch = undefined;
  }

  function look(): void {
    const nowMs = performance.now();
    for (const request of requests.values()) {
      // This host's own disk is slow: no fault of the peer.
      if (stream.heldBack) request.progressAtMs = nowMs;
      const silentMs = nowMs - request.progressAtMs;
      const patienceMs = request.call.patienceMs ?? options.giveUpMs;
      if (silentMs > options.stallMs && !request.stalled) {
        request.stalled = true;
        request.call.onStall?.();
      }
      if (silentMs <= patienceMs) continue;
      if (!request.over) giveUp(request, slow(peer, patienceMs));
      // It was told that nobody waits, and did not even say that it had heard.
      else if (silentMs > options.giveUpMs) stream.close(`it did not answer for ${silentMs} ms`);
    }
  }

  function giveUp(request: Request, error: MeshError): void {
    if (request.over || !requests.has(request.id)) return;
    request.over = true;
    request.taker?.stop();
    request.reject(error);
    stream.send({ kind: "enough", id: request.id }).catch(() => undefined);
  }

  async function request(
    expects: AnswerKind,
    call: PeerCall,
    begin: (id: number) => { readonly frame: PlainFrame; readonly taker?: PartsTaker },
    follow?: (id: number, progress: () => void) => Promise<void>,
  ): Promise<Answer> {
    await turn();
    if (ended) throw new MeshError("UNAVAILABLE", `Peer ${peer} is gone. Try again.`);
    const id = nextId;
    nextId = nextId === 0xffff_ffff ? 1 : nextId + 1;
    const { frame, taker } = begin(id);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const own: Request = {
      ...{ id, expects, call, taker, resolve, reject },
      ...{ progressAtMs: performance.now(), stalled: false, over: false },
    };
    requests.set(id, own);
    startWatch();
    const onAbort = () => giveUp(own, new MeshError("CANCELLED", "Nobody waits any more."));
    call.signal?.addEventListener("abort", onAbort);
    if (call.signal?.aborted) onAbort();
    const progress = () => {
      if (own.over) throw new MeshError("CANCELLED", "Given up.");
      own.progressAtMs = performance.now();
    };
    const sending = stream.send(frame).then(() => follow?.(id, progress));
    // What breaks the sending breaks the stream, which rejects the request.
    sending.catch((error: unknown) => {
      const { code, message } = failureOf(error);
      giveUp(own, new MeshError(code, message));
    });
    try {
      return await promise;
    } finally {
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  async function turn(): Promise<void> {
    if (underWay < options.requestsAtOnce) underWay += 1;
    else await new Promise<void>((resolve) => turns.push(resolve));
  }

  /** The place of a request that is over goes to the next. */
  function nextTurn(): void {
    const next = turns.shift();
    if (next === undefined) underWay -= 1;
    else next();
  }

  async function fetch(digests: readonly Digest[], call: PeerCall): Promise<Digest[]> {
    const taker = createPartsTaker(store, digests, { waiting });
    const answer = await request("end", call, (id) => {
      return { frame: { kind: "want", id, digests }, taker };
    });
    const { absent: places, refusal } = await taker
      .end(answer.kind === "end" ? answer.missing : [])
      .catch((error: unknown) => {
        const { message } = failureOf(error);
        stream.close(message, true);
        throw new MeshError("DATA_LOSS", `Peer ${peer}: ${message}`);
      });
    if (refusal !== undefined) throw new MeshError(refusal.code, refusal.message);
    return at(digests, places);
  }

  async function ask(digests: readonly Digest[], call: PeerCall): Promise<Digest[]> {
    const answer = await request("missing", call, (id) => {
      return { frame: { kind: "ask", id, digests } };
    });
    return answer.kind === "missing" ? at(digests, answer.missing) : [...digests];
  }

  async function put(digests: readonly Digest[], call: PeerCall): Promise<void> {
    const lacking: number[] = [];
    const send = async (id: number, progress: () => void): Promise<void> => {
      for await (const parts of packParts(store, id, digests, lacking)) {
        progress();
        await stream.sendParts(parts);
      }
      progress();
      await stream.send({ kind: "end", id, missing: lacking });
      progress();
    };
    const begin = (id: number) => ({ frame: { kind: "put" as const, id, digests } });
    const answer = await request("stored", call, begin, send);
    const [lost] = at(digests, lacking);
    if (lost !== undefined) throw absent(lost);
    checkStored(peer, answer);
  }

  async function getResult(key: ActionKey, call: PeerCall): Promise<CachedResult | undefined> {
    const answer = await request("cachedResult", call, (id) => {
      return { frame: { kind: "getResult", id, key } };
    });
    return answer.kind === "cachedResult" ? answer.result : undefined;
  }

  async function putResult(key: ActionKey, bytes: Uint8Array, call: PeerCall): Promise<void> {
    // Too large for a frame: such a result is kept at home.
    if (bytes.length > blobBounds.resultBytesMax) return;
    const answer = await request("stored", call, (id) => {
      return { frame: { kind: "putResult", id, key, bytes } };
    });
    checkStored(peer, answer);
  }

  return {
    ...{ fetch, ask, put, getResult, putResult },
    close: (why) => stream.close(why),
  };
}

function isAnswer(frame: BlobFrame): frame is Answer {
  return ["end", "missing", "stored", "cachedResult"].includes(frame.kind);
}

/** The peer's own refusal, in its own words. */
function checkStored(peer: PeerId, answer: Answer): void {
  if (answer.kind !== "stored" || answer.code === undefined) return;
  throw new MeshError(answer.code, `Peer ${peer} did not keep it: ${answer.message}`);
}

function at(digests: readonly Digest[], places: readonly number[]): Digest[] {
  return places.flatMap((place) => digests[place] ?? []);
}

function unasked(): MeshError {
  return new MeshError("DATA_LOSS", "The peer answered what was not asked");
}

function slow(peer: PeerId, ms: number): MeshError {
  return new MeshError("DEADLINE_EXCEEDED", `Peer ${peer} made no progress for ${ms} ms.`);
}
