// What this process knows to be in the store, for a minute at most: clients ask about the same
// blobs again and again. Exact all the same, because a use is written down in the minute in which
// it is confirmed, and nothing is evicted in a minute in which it was used.

/** Keys confirmed in the present minute. */
export interface Confirmed {
  has(key: string): boolean;
  add(key: string): void;
  delete(key: string): void;
}

/** Bound: keys remembered. */
const keysMax = 200_000;

/** An empty memory. `now` is Unix ms. */
export function createConfirmed(now: () => number): Confirmed {
  let minute = -1;
  let keys = new Set<string>();
  function present(): Set<string> {
    const current = Math.floor(now() / 60_000);
    if (current !== minute || keys.size >= keysMax) {
      minute = current;
      keys = new Set();
    }
    return keys;
  }
  return {
    has: (key) => present().has(key),
    add: (key) => present().add(key),
    delete: (key) => present().delete(key),
  };
}
