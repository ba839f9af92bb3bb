// What this process knows to be in the store, for a minute at most: clients ask about the same
// blobs again and again. Exact all the same, because a use is written down in the minute in which
// it is confirmed, and nothing is evicted in a minute in which it was used.

import type { Digest, DigestFunction } from "../core/digest.ts";

/** Digests confirmed in the present minute. */
export interface Confirmed {
  has(digest: Digest): boolean;
  add(digest: Digest): void;
  delete(digest: Digest): void;
  /** A new minute is noticed here only, so that a thousand questions look at the clock once. */
  tick(): void;
}

/** Bound: digests remembered. */
const digestsMax = 200_000;

/** An empty memory. `now` is Unix ms. */
export function createConfirmed(now: () => number): Confirmed {
  let minute = -1;
  let count = 0;
  // By hash and not by a text of all parts: joining those would cost more than looking.
  const sizesByFunction = new Map<DigestFunction, Map<string, number>>();
  return {
    has: ({ fn, hash, sizeBytes }) => sizesByFunction.get(fn)?.get(hash) === sizeBytes,
    add: ({ fn, hash, sizeBytes }) => {
      const sizes = sizesByFunction.get(fn) ?? new Map<string, number>();
      sizesByFunction.set(fn, sizes.set(hash, sizeBytes));
      count += 1;
    },
    delete: ({ fn, hash }) => sizesByFunction.get(fn)?.delete(hash),
    tick: () => {
      const current = Math.floor(now() / 60_000);
      if (current === minute && count < digestsMax) return;
      minute = current;
      count = 0;
      sizesByFunction.clear();
    },
  };
}
