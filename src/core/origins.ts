// Which action made a blob: what this ingress told its clients, by invocation, for as long as that
// is heard of. Only a memory: who dies forgets it, and lost blobs are then told to the client.

import type { Digest } from "./digest.ts";
import type { Claimant, Maker, RemakingOptions } from "./remaking-options.ts";

/** Whose it is. */
type Client = Pick<Claimant, "user" | "invocation">;

interface Invocation {
  readonly user: string;
  /** Hash of a blob → who made it last. A hash has one size, and the function of its action. */
  readonly makers: Map<string, Maker>;
  heardAtMs: number;
}

/** Makers of blobs, bounded. */
export class Origins {
  readonly #options: RemakingOptions;
  /** The one heard of least first. */
  readonly #invocations = new Map<string, Invocation>();
  #blobs = 0;

  constructor(options: RemakingOptions) {
    this.#options = options;
  }

  /** Blobs remembered. */
  get size(): number {
    return this.#blobs;
  }

  /** Remembers that `maker` made these; a later maker of the same blob takes the place of it. */
  tell(by: Client, maker: Maker, blobs: Iterable<Digest>, nowMs: number): void {
    const { makers } = this.#hear(by, nowMs);
    for (const { hash } of blobs) {
      if (makers.size >= this.#options.blobsMax) break;
      if (!makers.has(hash)) this.#blobs += 1;
      makers.set(hash, maker);
    }
    this.#forget(nowMs);
  }

  /** True where the maker of one of these may be known: a quick look that changes nothing. */
  knows(by: Client, blobs: readonly Digest[]): boolean {
    if (this.#blobs === 0) return false;
    const maker = this.#find(by);
    return blobs.some((blob) => maker(blob) !== undefined);
  }

  /** Finds who made a blob, as this invocation or a late one of the same user was told. */
  finder(by: Client, nowMs: number): (blob: Digest) => Maker | undefined {
    this.#forget(nowMs);
    return this.#find(by);
  }

  #find(by: Client): (blob: Digest) => Maker | undefined {
    const own = this.#invocations.get(keyOf(by));
    const others = [...this.#invocations.values()].filter((other) => {
      return other.user === by.user && other !== own;
    });
    const latest = others.slice(-this.#options.othersMax).reverse();
    const places = own === undefined ? latest : [own, ...latest];
    return ({ fn, hash }) => {
      const found = places.find(({ makers }) => makers.has(hash))?.makers.get(hash);
      return found?.action.fn === fn ? found : undefined;
    };
  }

  /** The memory of an invocation, which is now the one heard of last. */
  #hear(by: Client, nowMs: number): Invocation {
    const key = keyOf(by);
    const known = this.#invocations.get(key);
    const heard = known ?? { user: by.user, makers: new Map<string, Maker>(), heardAtMs: nowMs };
    heard.heardAtMs = nowMs;
    this.#invocations.delete(key);
    this.#invocations.set(key, heard);
    return heard;
  }

  #forget(nowMs: number): void {
    const { blobsMax, invocationsMax, invocationMs } = this.#options;
    for (const [key, { makers, heardAtMs }] of this.#invocations) {
      const isFull = this.#blobs > blobsMax || this.#invocations.size > invocationsMax;
      if (!isFull && nowMs - heardAtMs < invocationMs) return;
      this.#invocations.delete(key);
      this.#blobs -= makers.size;
    }
  }
}

/** No two of them run together, whatever a client calls itself. */
function keyOf({ user, invocation }: Client): string {
  return `${user.length}/${user}/${invocation}`;
}
