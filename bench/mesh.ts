// What a mesh of processes does: `npm run bench -- mesh [--only PART] [--trace FILE] [--every N]
// [--stretch N] [--runs N]`, PART one of build, large, failover, idle and questions. Hosts are
// processes in network namespaces, so it wants root and iproute2; their slots sleep, as two cores
// carry no more.

import { namespacesMissing } from "../test/support/namespaces.ts";
import { benchMeshBuild } from "./mesh-build.ts";
import { benchMeshFailover } from "./mesh-failover.ts";
import { benchIdleMesh } from "./mesh-idle.ts";
import { benchMeshQuestions } from "./mesh-questions.ts";
import type { Row } from "./table.ts";

/** What can be chosen on the command line. */
export interface MeshBenchOptions {
  readonly only: string | undefined;
  readonly trace: string | undefined;
  /** Of the trace's actions one of so many is played; undefined: what suits the part. */
  readonly every: number | undefined;
  readonly stretch: number | undefined;
  readonly runs: number;
}

/** The parts, by the name that chooses one. */
const parts: Readonly<Record<string, (options: MeshBenchOptions) => AsyncIterable<Row>>> = {
  build: ({ trace, runs, every = 1, stretch = 1 }) =>
    benchMeshBuild({ hosts: 8, traceFile: trace, fit: { every, stretch }, runs, wanted: "1.10" }),
  // Four times the slots on the same two cores: each action lasts four times as long.
  large: ({ trace, runs, every = 1, stretch = 4 }) =>
    benchMeshBuild({ hosts: 32, traceFile: trace, fit: { every, stretch }, runs, wanted: "1.30" }),
  failover: ({ runs }) => benchMeshFailover(runs),
  idle: () => benchIdleMesh(16),
  questions: () => benchMeshQuestions(),
};

/** Measures the chosen part, or all but the large one. */
export async function* benchMesh(options: MeshBenchOptions): AsyncGenerator<Row> {
  const missing = namespacesMissing();
  if (missing !== undefined) throw new Error(`The mesh cannot be measured here: ${missing}.`);
  const names = Object.keys(parts);
  const chosen =
    options.only === undefined ? names.filter((name) => name !== "large") : [options.only];
  for (const name of chosen) {
    const part = parts[name];
    if (part === undefined)
      throw new Error(`There is no part ${name}. Choose ${names.join(", ")}.`);
    yield* part(options);
  }
}
