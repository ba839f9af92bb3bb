// A worker process. A serving node starts it and speaks over the IPC channel; it ends with its
// parent, however that ends.

import { failureOf } from "../src/core/error.ts";
import { startWorkerNode, type WorkerConfig, type WorkerNode } from "../src/node/worker-node.ts";
import { keptLog } from "../src/telemetry/log-ring.ts";
import { createLog, type Level } from "../src/telemetry/logger.ts";

/** What a parent says: first the configuration, then what to do. */
type Told = WorkerConfig | { readonly kind: "drain" | "hurry" | "pause" | "resume" };

let node: Promise<WorkerNode> | undefined;

async function start(config: WorkerConfig): Promise<WorkerNode> {
  const write = (line: string) => process.stderr.write(line);
  const { name: node, logFormat: format } = config;
  const tell = (figures: object) => {
    if (process.connected) process.send?.(figures);
  };
  // The host keeps the last lines of all its processes.
  const ring = { add: (level: Level, text: string) => tell({ kind: "log", level, text }) };
  const logAt = (level: Level) =>
    keptLog(createLog(write, level, { format, node, now: Date.now }), ring, level);
  const [log, hostLog] = [logAt(config.logLevel), logAt(config.manners.logLevel)];
  const leave = () => void end("drain").catch(fail);
  const deps = { log, hostLog, now: Date.now, tell, leave, env: process.env };
  return startWorkerNode(deps, config);
}

async function end(how: "drain" | "stop"): Promise<void> {
  const running = await node;
  if (how === "drain") await running?.drain();
  await running?.stop();
  process.exit(0);
}

function tell(what: "hurry" | "pause" | "resume"): void {
  node?.then(
    (running) => (what === "hurry" ? running.hurry() : running.pause(what === "pause")),
    () => undefined,
  );
}

function fail(error: unknown): void {
  process.stderr.write(`[ERROR] A worker ended: ${failureOf(error).message}\n`);
  process.exit(1);
}

// The terminal's Ctrl-C is for the parent, which then says what to do.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => void end("drain").catch(fail));
process.on("disconnect", () => void end("stop").catch(fail));
process.on("message", (message: Told) => {
  if (message.kind === "drain") return void end("drain").catch(fail);
  if (message.kind !== "config") return tell(message.kind);
  node = start(message);
  node.catch(fail);
});
if (process.send === undefined) fail(new Error("it is started by builder serve, not by hand"));
