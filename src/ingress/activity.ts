// Which calls are under way: a draining node serves until its clients have what they came for.

/** Counts calls. */
export interface Activity {
  /** A call begins; what is returned tells its end, the first time it is called. */
  begin(): () => void;
  /**
   * Resolves once no call is under way and none has been for `quietMs`, at the latest after
   * `maxMs`.
   */
  quiet(quietMs: number, maxMs: number): Promise<void>;
}

const lookEveryMs = 20;

/** Creates the counter of one ingress. */
export function createActivity(): Activity {
  let active = 0;
  let lastMs = performance.now();

  return {
    begin: () => {
      active += 1;
      let over = false;
      return () => {
        if (!over) active -= 1;
        over = true;
        lastMs = performance.now();
      };
    },
    quiet: async (quietMs, maxMs) => {
      const endMs = performance.now() + maxMs;
      while (performance.now() < endMs) {
        if (active === 0 && performance.now() - lastMs >= quietMs) return;
        await new Promise((wake) => setTimeout(wake, lookEveryMs));
      }
    },
  };
}
