// How often strangers at one address may try, in a bounded table.

/** Counts tries. */
export interface Tries {
  /** Counts one try from `address`; false once there are too many. */
  allow(address: string, nowMs: number): boolean;
}

const minuteMs = 60_000;

/** A table of at most `addressesMax` addresses; the one whose minute began first is forgotten. */
export function createTries(bounds: {
  readonly perMinute: number;
  readonly addressesMax: number;
}): Tries {
  const countedByAddress = new Map<string, { sinceMs: number; tries: number }>();
  return {
    allow: (address, nowMs) => {
      const counted = countedByAddress.get(address);
      if (counted !== undefined && Math.abs(nowMs - counted.sinceMs) < minuteMs) {
        counted.tries += 1;
        return counted.tries <= bounds.perMinute;
      }
      countedByAddress.delete(address);
      const [oldest] = countedByAddress.keys();
      if (countedByAddress.size >= bounds.addressesMax && oldest !== undefined) {
        countedByAddress.delete(oldest);
      }
      countedByAddress.set(address, { sinceMs: nowMs, tries: 1 });
      return true;
    },
  };
}
