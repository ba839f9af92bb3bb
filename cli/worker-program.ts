// Where the program of worker processes is: beside this file, from source or bundled.

import { fileURLToPath } from "node:url";

/** Its path, absolute. */
export const workerProgram = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.cjs", import.meta.url),
);
