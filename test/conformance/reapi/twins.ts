// The twins: wrong in one thing each, and the cases of their topic that must notice.

import type { Twin } from "./twin.ts";
import { storeTwins } from "./twins-blobs.ts";
import { cacheAndCallTwins } from "./twins-cache.ts";
import { capabilityTwins } from "./twins-capabilities.ts";
import { executionTwins } from "./twins-execution.ts";

/** All twins. */
export const allTwins: readonly Twin[] = [
  ...capabilityTwins,
  ...storeTwins,
  ...cacheAndCallTwins,
  ...executionTwins,
];
