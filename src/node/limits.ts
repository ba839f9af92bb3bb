// What an action may use when it does not say, on this machine.

import { availableParallelism, totalmem } from "node:os";
import type { LimitOptions } from "../worker/action-limits.ts";

/** Defaults for a worker with `slots` slots. Memory is the machine's, so that one action fits. */
export function defaultLimits(slots: number): LimitOptions {
  return {
    wallMsDefault: 3_600_000,
    memoryBytesDefault: Math.max(512 * 2 ** 20, Math.floor(totalmem() / Math.max(1, slots))),
    cpusDefault: availableParallelism(),
    pidsMax: 1024,
    fileBytesMax: 16 * 2 ** 30,
  };
}
