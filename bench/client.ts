// How the build client feels every day: `npm run bench -- client [--only NAME] [--quick]`. Each
// figure stands beside its yardstick, measured in the same run, in turn.

import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { bareNodeMs, seenBuild, settle } from "./build-client.ts";
import { benchCodeBase } from "./code-base-builds.ts";
import { benchRemote } from "./remote-builds.ts";
import { median, type Row } from "./table.ts";
import { benchTree } from "./tree.ts";

/** What the parts of this bench share. */
export interface ClientBench {
  /** For workspaces and caches; removed afterwards by whoever made it. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly runs: number;
  /** True for a part of the code base and a tenth of the tree. */
  readonly quick: boolean;
}

/** The parts by name. */
export const clientParts: Readonly<Record<string, (bench: ClientBench) => AsyncGenerator<Row>>> = {
  example: benchExample,
  base: benchCodeBase,
  remote: benchRemote,
  tree: benchTree,
};

/** All parts, or one. */
export async function* benchClient(
  bench: ClientBench,
  only: string | undefined,
): AsyncGenerator<Row> {
  for (const [name, part] of Object.entries(clientParts)) {
    if (only === undefined || only === name) yield* part(bench);
  }
}

/** The example of the README: nothing changed, and outputs that are gone. */
async function* benchExample({ folder, env, runs }: ClientBench): AsyncGenerator<Row> {
  const cwd = join(folder, "small");
  const from = resolve(import.meta.dirname, "../examples/remote-execution");
  cpSync(from, cwd, { recursive: true });
  const place = { cwd, env };
  seenBuild([], place);
  settle();
  // Once more, now that sources look settled; and once for V8's compile cache.
  for (let at = 0; at < 2; at += 1) seenBuild([], place);
  const rounds = Array.from({ length: Math.max(15, runs) }, () => ({
    unchanged: seenBuild([], place),
    bareMs: bareNodeMs(place),
  }));
  const printed = median(rounds.map(({ unchanged }) => unchanged.printedMs));
  const whole = median(rounds.map(({ unchanged }) => unchanged.wallMs));
  const bare = median(rounds.map(({ bareMs }) => bareMs));
  yield {
    what: "the example, nothing changed: time it prints",
    figure: `${printed.toFixed(0)} ms`,
    beside: "wanted: 45 ms",
  };
  yield {
    what: "the example, nothing changed: whole process",
    figure: `${whole.toFixed(0)} ms`,
    beside: `node -e 0: ${bare.toFixed(0)} ms; ${(whole / bare).toFixed(2)}x, wanted: 1.3x`,
  };
  const restored = Array.from({ length: Math.max(7, runs) }, () => {
    for (const made of ["bin", "build"]) rmSync(join(cwd, made), { recursive: true, force: true });
    return seenBuild([], place).printedMs;
  });
  yield {
    what: "the example, outputs deleted: time it prints",
    figure: `${median(restored).toFixed(0)} ms`,
    beside: `+${(median(restored) - printed).toFixed(0)} ms, wanted: +80 ms`,
  };
}
