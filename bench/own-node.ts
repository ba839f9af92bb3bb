// Our own node in a process of its own, for measuring.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** A serving node. */
export interface OwnNode {
  readonly address: string;
  readonly pid: number;
  /** Its worker processes. */
  workers(): number[];
  stop(): Promise<void>;
}

const program = resolve(import.meta.dirname, "../cli/bin/builder");

/** Starts one with two workers of one slot, which is what two cores carry. */
export async function startOwnNode(
  folder: string,
  env: NodeJS.ProcessEnv,
  more: readonly string[] = [],
): Promise<OwnNode> {
  const args = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--workers-min", "2"];
  const own = ["--slots", "1", "--store", join(folder, "store"), ...more];
  const node = spawn(program, [...args, ...own], { env, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  const address = await new Promise<string>((ready) => {
    node.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const found = /Coordinator: (\S+)/.exec(said)?.[1];
      if (found !== undefined && said.includes("service ready")) ready(found);
    });
  });
  const pid = node.pid ?? -1;
  return {
    address,
    pid,
    workers: () => childrenOf(pid),
    stop: async () => {
      node.kill("SIGINT");
      await new Promise((ended) => node.once("exit", ended));
    },
  };
}

/** Memory of a process that is its own and not a mapped file's, in MiB. */
export function residentMiB(pid: number): number {
  return memoryKib(pid, "RssAnon") / 1024;
}

/** A field of /proc/PID/status in KiB. */
export function memoryKib(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1] ?? 0);
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}
