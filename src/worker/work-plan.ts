// Which persistent worker an action wants: whatever could make one process answer otherwise than
// another is in its key, and whose it is (docs/adr/0031).

import { createHash } from "node:crypto";
import type { TreeEntry } from "../cas/merkle.ts";
import type { ActionRequest } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { SandboxRun } from "../sandbox/sandbox.ts";
import { splitCommand, type WorkFormat } from "./work-protocol.ts";

/** What a process must be, and what it is to be told. */
export interface WorkPlan {
  /** Equal for two actions only where one process may do both. */
  readonly key: string;
  readonly startup: readonly [string, ...string[]];
  readonly flagFiles: readonly string[];
  readonly format: WorkFormat;
}

/** By which an action asks for a persistent worker: the client's name for such a tool. */
const keyProperty = "persistentWorkerKey";
const formatProperty = "builder.worker_protocol";

/** Whether an action asks for one at all. */
export function wantsWorker(properties: ReadonlyMap<string, string>): boolean {
  return (properties.get(keyProperty) ?? "") !== "";
}

/**
 * The plan for an action; undefined where it asks for no persistent worker, has no flag file, or
 * starts in a folder of its inputs, which would go with them. INVALID_ARGUMENT for a protocol that
 * there is not.
 */
export function planWork(
  action: {
    readonly request: Pick<ActionRequest, "user" | "instance">;
    readonly run: SandboxRun;
    readonly properties: ReadonlyMap<string, string>;
  },
  entries: readonly TreeEntry[],
): WorkPlan | undefined {
  const { request, run, properties } = action;
  const split = splitCommand(run.argv);
  if (!wantsWorker(properties) || split === undefined) return undefined;
  if (run.workingDirectory !== "") return undefined;
  const format = readFormat(properties.get(formatProperty) ?? "proto");
  // A request's own time is kept by whoever waits for its answer.
  const { wallMs: _, ...limits } = run.limits;
  const tools = entries.flatMap((entry) =>
    entry.kind === "file" && entry.isTool === true
      ? [[entry.path, entry.digest.hash, entry.executable]]
      : [],
  );
  const parts = [
    ...[request.user, request.instance, properties.get(keyProperty), format, split.startup],
    ...[Object.entries(run.env).sort(), run.network, limits, tools],
  ];
  const key = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  return { key, ...split, format };
}

function readFormat(text: string): WorkFormat {
  if (text === "proto" || text === "json") return text;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Platform property ${formatProperty} wants "proto" or "json", not "${text}".`,
  );
}
