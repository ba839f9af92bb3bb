// Which calls are under way: a draining node serves until its clients have what they came for.

/** Counts calls. */
export interface Activity {
  /** A call begins; what is returned tells its end and code, the first time it is called. */
  begin(method: string): (code: number) => void;
  /** Calls under way. */
  readonly active: number;
  /**
   * Resolves once no call is under way and none has been for `quietMs`, at the latest after
   * `maxMs`.
   */
  quiet(quietMs: number, maxMs: number): Promise<void>;
}

const lookEveryMs = 20;

/** Hears of every call that ended: `/package.Service/Method`, its gRPC code, how long it took. */
export type OnCall = (method: string, code: number, ms: number) => void;

/** Creates the counter of one ingress. */
export function createActivity(onCall: OnCall = () => undefined): Activity {
  let active = 0;
  let lastMs = performance.now();

  return {
    begin: (method) => {
      active += 1;
      const beganMs = performance.now();
      let over = false;
      return (code) => {
        lastMs = performance.now();
        if (over) return;
        over = true;
        active -= 1;
        onCall(method, code, lastMs - beganMs);
      };
    },
    get active() {
      return active;
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
