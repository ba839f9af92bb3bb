// `builder remote status` as people wait for it: the whole process, in a mesh of 200 nodes with a
// thousand actions that wait, beside the bare start of Node.

import { execFileSync, fork } from "node:child_process";
import { join, resolve } from "node:path";
import { median, type Row } from "./table.ts";

const root = resolve(import.meta.dirname, "..");

/** Measures it. */
export async function* benchStatus(runs: number): AsyncGenerator<Row> {
  const node = fork(join(root, "bench/status-node.ts"));
  try {
    const told = await new Promise<{ port: number; workers: number; pending: number }>((ready) => {
      node.once("message", (message) => ready(message as never));
    });
    const builder = join(root, "cli/bin/builder");
    const bare = join(root, "node_modules/node/bin/node");
    const words = ["remote", "status", "--coordinator", `127.0.0.1:${told.port}`];
    const timeMs = (program: string, args: readonly string[]) => {
      const startMs = performance.now();
      execFileSync(program, [...args], { stdio: "pipe" });
      return performance.now() - startMs;
    };
    const [ours, yardstick]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run += 1) {
      ours.push(timeMs(builder, words));
      yardstick.push(timeMs(bare, ["-e", "0"]));
    }
    yield {
      what: `builder remote status, ${told.workers} nodes, ${told.pending} waiting, whole process`,
      figure: `${median(ours).toFixed(0)} ms`,
      beside: `node -e 0: ${median(yardstick).toFixed(0)} ms`,
    };
  } finally {
    node.disconnect();
  }
}
