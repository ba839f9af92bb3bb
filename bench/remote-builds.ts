// The code base on a node of this machine: how little of the work is the client's.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { toldBuild } from "./build-client.ts";
import type { ClientBench } from "./client.ts";
import { seconds, wantedTargets } from "./code-base-builds.ts";
import { layOut, re2 } from "./code-bases.ts";
import { actionsOf, findNinja, writeNinjaFile } from "./ninja.ts";
import { startOwnNode } from "./own-node.ts";
import type { Row } from "./table.ts";
import { countedRun } from "./timed-run.ts";

/**
 * The processor time of the commands is taken from ninja, which waits for them; a local build lets
 * its sandboxes run beside it.
 */
export async function* benchRemote(bench: ClientBench): AsyncGenerator<Row> {
  const { folder, env, quick } = bench;
  const at = join(folder, "remote");
  const [theirs, first, again] = [join(at, "theirs"), join(at, "first"), join(at, "again")];
  for (const to of [theirs, first, again]) layOut(re2, to);
  const wanted = wantedTargets(quick);
  writeNinjaFile(theirs, actionsOf(theirs, wanted));
  const plain = countedRun(findNinja() ?? "ninja", ["-j", "2"], { cwd: theirs, env });
  const node = await startOwnNode(at, env);
  try {
    const args = [`--remote=${node.address}`, ...wanted];
    const cold = toldBuild(args, { cwd: first, env });
    yield {
      what: "RE2 and Abseil cold on a node, 2 workers",
      figure: seconds(cold.wallMs),
      beside: `ninja -j2: ${seconds(plain.wallMs)}; ${(cold.wallMs / plain.wallMs).toFixed(2)}x`,
    };
    yield {
      what: "the same: processor time of the client",
      figure: seconds(cold.cpuMs),
      beside: `of the commands: ${seconds(plain.cpuMs)}; ${share(cold.cpuMs, plain.cpuMs)}, wanted: 5%`,
    };
    const cached = toldBuild(args, { cwd: again, env });
    yield {
      what: "the same from the node's cache, new checkout",
      figure: seconds(cached.wallMs),
      beside: `1/${(cold.wallMs / cached.wallMs).toFixed(0)} of cold; client ${seconds(cached.cpuMs)} of processor`,
    };
  } finally {
    await node.stop();
    rmSync(at, { recursive: true });
  }
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}
