// Room kept free for the worst moment: letting blobs go takes a few pages of the index, which a
// full disk does not have.

import * as fs from "node:fs";
import { failureOf } from "../core/error.ts";

/** A file that is given up when the disk is full. */
export interface Ballast {
  /** Runs `work`; where the disk is too full for it (RESOURCE_EXHAUSTED), once more with room. */
  withRoom<T>(work: () => T): T;
}

const ballastBytes = 1 << 20;

/** Makes the file at `path`, if there is room and it is not there. */
export function createBallast(path: string): Ballast {
  const make = () => {
    try {
      fs.writeFileSync(path, Buffer.alloc(ballastBytes));
    } catch {
      // The disk is full already; the next time there is room it is made.
    }
  };
  if (!fs.existsSync(path)) make();
  return {
    withRoom: (work) => {
      try {
        return work();
      } catch (error) {
        if (failureOf(error).code !== "RESOURCE_EXHAUSTED") throw error;
        fs.rmSync(path, { force: true });
        try {
          return work();
        } finally {
          make();
        }
      }
    },
  };
}
