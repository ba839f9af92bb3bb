// Every case of the suite, topic by topic.

import { actionCacheCases } from "./action-cache.ts";
import { assetCases } from "./assets.ts";
import { blobCases } from "./blobs.ts";
import { byteStreamCases } from "./byte-stream.ts";
import { capabilityCases } from "./capabilities.ts";
import type { Case } from "./case.ts";
import { chunkCases } from "./chunks.ts";
import { compressionCases } from "./compression.ts";
import { executionCases } from "./execution.ts";
import { hostileCallCases } from "./hostile-calls.ts";
import { hostileCommandCases } from "./hostile-commands.ts";
import { hostileLoadCases } from "./hostile-load.ts";
import { hostileTreeCases } from "./hostile-trees.ts";
import { inputCases } from "./inputs.ts";
import { logStreamCases } from "./log-streams.ts";
import { missingBlobCases } from "./missing-blobs.ts";
import { operationCases } from "./operations.ts";
import { outputCases } from "./outputs.ts";
import { policyCases } from "./policies.ts";
import { processCases } from "./processes.ts";
import { resumeCases } from "./resume.ts";
import { treeCases } from "./trees.ts";
import { writeCases } from "./writes.ts";

/** The cases by topic; each topic is a file. */
export const casesByTopic: Readonly<Record<string, readonly Case[]>> = {
  capabilities: capabilityCases,
  blobs: blobCases,
  "byte-stream": byteStreamCases,
  writes: writeCases,
  resume: resumeCases,
  compression: compressionCases,
  chunks: chunkCases,
  trees: treeCases,
  "action-cache": actionCacheCases,
  execution: executionCases,
  processes: processCases,
  policies: policyCases,
  "missing-blobs": missingBlobCases,
  inputs: inputCases,
  outputs: outputCases,
  operations: operationCases,
  "log-streams": logStreamCases,
  assets: assetCases,
  "hostile-calls": hostileCallCases,
  "hostile-trees": hostileTreeCases,
  "hostile-commands": hostileCommandCases,
  "hostile-load": hostileLoadCases,
};

/** All of them. */
export const allCases: readonly Case[] = Object.values(casesByTopic).flat();
