// From whoever has bytes now to whoever reads them when it can. Its bound is the reader's: who
// pushes is told what waits and stops in time.

import type { MeshError } from "../core/error.ts";

/** One stream of bytes, written at one end and read once at the other. */
export interface BytePipe {
  readonly chunks: AsyncIterable<Uint8Array>;
  push(bytes: Uint8Array): void;
  end(): void;
  /** The reader gets this error. */
  fail(error: MeshError): void;
  /** Nobody reads on: what waits and comes is dropped. */
  discard(): void;
}

/** Bound: bytes that are joined into one piece. */
const joinedBytesMax = 1 << 20;

/** `waiting` is told of every byte that comes in (positive) and goes out (negative). */
export function createBytePipe(waiting: (change: number) => void): BytePipe {
  const queue: Uint8Array[] = [];
  let ended = false;
  let discarded = false;
  let failure: MeshError | undefined;
  let wake: (() => void) | undefined;

  function stir(): void {
    wake?.();
    wake = undefined;
  }

  /** What waits, in one piece: each write of a file costs a thread's turn, joining costs less. */
  function takeJoined(): Uint8Array | undefined {
    let [count, joined] = [0, 0];
    for (const { length } of queue) {
      if (count > 0 && joined + length > joinedBytesMax) break;
      count += 1;
      joined += length;
    }
    return count < 2 ? queue.shift() : Buffer.concat(queue.splice(0, count));
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const bytes = takeJoined();
      if (bytes !== undefined) {
        // Given up before it is written: otherwise a slow disk would hold back twice.
        waiting(-bytes.length);
        yield bytes;
        continue;
      }
      if (failure !== undefined) throw failure;
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    chunks: read(),
    push: (bytes) => {
      if (discarded) return;
      queue.push(bytes);
      waiting(bytes.length);
      stir();
    },
    end: () => {
      ended = true;
      stir();
    },
    fail: (error) => {
      failure = error;
      stir();
    },
    discard: () => {
      discarded = true;
      for (const bytes of queue.splice(0)) waiting(-bytes.length);
      stir();
    },
  };
}
