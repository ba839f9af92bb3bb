// Frames of the blob protocol into this host's store. The other end is not believed: only bytes
// that were asked for are taken, in order, no more than a digest says, and the store hashes them.

import type { BlobStore } from "../cas/blob-store.ts";
import { isEmptyBlob } from "../cas/hash.ts";
import type { Digest } from "../core/digest.ts";
import { type Failure, failureOf, MeshError } from "../core/error.ts";
import type { PartsFrame } from "../wire/blob-codec.ts";
import { createBytePipe } from "./byte-pipe.ts";

/** How a batch of blobs ended. */
export interface TakenParts {
  /** Places of what is not stored: the other end lacks it, or this store did not take it. */
  readonly absent: readonly number[];
  /** Why this store refused some of it; undefined where it took all that came. */
  readonly refusal: Failure | undefined;
}

/** Takes one batch. */
export interface PartsTaker {
  /** DATA_LOSS for anything that was not asked for, or too long. */
  take(frame: PartsFrame): void;
  /** After the last frame; `missing` are the places that the other end says it lacks. DATA_LOSS. */
  end(missing: readonly number[]): Promise<TakenParts>;
  /** Why this store refuses what comes, as soon as it does: more of it is of no use. */
  refusal(): Failure | undefined;
  /** Nothing more will come: what is half there is dropped. */
  stop(): void;
}

/** Slow-disk signals: so many bytes wait to be stored. */
export interface TakerEvents {
  /** Bytes taken (positive) or stored (negative). */
  waiting(change: number): void;
}

/** A taker of the blobs `digests` for `store`. */
export function createPartsTaker(
  store: BlobStore,
  digests: readonly Digest[],
  events: TakerEvents,
): PartsTaker {
  const stored = new Set<number>();
  const writes = new Set<Promise<void>>();
  /** Begun and not finished: the other end must say that it lacks them. */
  const halves: number[] = [];
  let open: { readonly blob: number; readonly pipe: ReturnType<typeof createBytePipe> } | undefined;
  let openBytes = 0;
  let done = -1;
  let refusal: Failure | undefined;
  let lie: MeshError | undefined;

  function keep(blob: number, digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const write = store
      .write(digest, chunks)
      .then(() => void stored.add(blob))
      .catch((error: unknown) => {
        const failure = failureOf(error);
        // The store throws this where hash or size are wrong: the sender's doing.
        if (failure.code === "INVALID_ARGUMENT") lie ??= lied(failure.message);
        else if (failure.code !== "CANCELLED") refusal ??= failure;
      })
      .finally(() => writes.delete(write));
    writes.add(write);
    return write;
  }

  function takeWhole(blob: number, digest: Digest, bytes: Uint8Array): void {
    events.waiting(bytes.length);
    void keep(blob, digest, once(bytes)).finally(() => events.waiting(-bytes.length));
  }

  function takePiece(blob: number, bytes: Uint8Array): void {
    const digest = digests[blob];
    if (open !== undefined && blob > open.blob) stop();
    if (digest === undefined || blob <= done || blob < (open?.blob ?? 0)) {
      throw lied("it sent bytes that were not asked for");
    }
    const size = openBytes + bytes.length;
    if (size > digest.sizeBytes) throw lied(`it sent more of ${digest.hash} than there is`);
    if (open === undefined && size === digest.sizeBytes) {
      done = blob;
      takeWhole(blob, digest, bytes);
      return;
    }
    if (open === undefined) {
      const pipe = createBytePipe(events.waiting);
      open = { blob, pipe };
      // A store that has the blob does not read on.
      void keep(blob, digest, pipe.chunks).finally(() => pipe.discard());
    }
    open.pipe.push(bytes);
    openBytes = size;
    if (size < digest.sizeBytes) return;
    open.pipe.end();
    done = blob;
    open = undefined;
    openBytes = 0;
  }

  function stop(): void {
    if (open === undefined) return;
    open.pipe.fail(new MeshError("CANCELLED", "The transfer broke off."));
    halves.push(open.blob);
    done = open.blob;
    open = undefined;
    openBytes = 0;
  }

  return {
    take: ({ pieces }) => {
      if (lie !== undefined) throw lie;
      for (const { blob, bytes } of pieces) takePiece(blob, bytes);
    },
    end: async (missing) => {
      const lacking = new Set(missing);
      stop();
      await Promise.all(writes);
      if (halves.some((at) => !lacking.has(at))) throw lied("it sent half a blob");
      if (lie !== undefined) throw lie;
      const absent = digests.flatMap((digest, at) =>
        stored.has(at) || isEmptyBlob(digest) ? [] : [at],
      );
      if (refusal === undefined && absent.some((at) => !lacking.has(at))) {
        throw lied("it left blobs out");
      }
      return { absent, refusal };
    },
    refusal: () => refusal,
    stop,
  };
}

function lied(what: string): MeshError {
  return new MeshError("DATA_LOSS", `The peer broke the blob protocol: ${what}.`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
