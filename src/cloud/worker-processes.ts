// Worker nodes as processes of this host: the pool's default provider.
//
// A worker gets its configuration over the IPC channel, never on its command line (it holds the
// node's key). The same channel is its lifeline: when the parent dies, however it dies, the channel
// closes and the worker stops by itself.

import { type ChildProcess, fork } from "node:child_process";
import type { Log } from "../telemetry/logger.ts";

/** How a worker process is started. */
export interface WorkerProcessOptions {
  /** The program to run; it reads its configuration from the first IPC message. */
  readonly program: string;
  /** How long a retired worker may take to finish its actions, in ms, before it is killed. */
  readonly drainMs: number;
}

/** What the pool hears of its processes. */
export interface WorkerProcessEvents {
  launched(slot: number): void;
  /** Called once per process, also where it could not be started. */
  terminated(slot: number, why: string): void;
  /** What a worker says over its channel. */
  said(slot: number, message: unknown): void;
}

/** Starts, retires and kills the worker processes of one serving node. */
export interface WorkerProcesses {
  launch(slot: number): void;
  /** Asks for a drain; kills after `drainMs` only where the whole host leaves. */
  retire(slot: number, isLeaving: boolean): void;
  /** Lets a worker take nothing new, or go on. */
  pause(slot: number, isPaused: boolean): void;
  /** Asks all to finish what there is, whatever their machine is needed for besides. */
  hurry(): void;
  /** Kills at once whatever still runs. */
  killAll(): void;
  /** Resolves when no process is left. */
  ended(): Promise<void>;
}

/** Creates the provider. `configure` makes the first message for a slot's process. */
export function createWorkerProcesses(
  deps: {
    readonly events: WorkerProcessEvents;
    readonly configure: (slot: number) => Promise<object>;
    readonly log: Log;
  },
  options: WorkerProcessOptions,
): WorkerProcesses {
  const childBySlot = new Map<number, ChildProcess>();
  const waiters: (() => void)[] = [];

  function ended(slot: number, why: string): void {
    if (!childBySlot.delete(slot)) return;
    deps.events.terminated(slot, why);
    if (childBySlot.size === 0) for (const wake of waiters.splice(0)) wake();
  }

  function launch(slot: number): void {
    const child = fork(options.program, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    childBySlot.set(slot, child);
    child.on("error", (error) => ended(slot, error.message));
    child.on("exit", (code, signal) =>
      ended(slot, signal ? `killed by ${signal}` : `exit ${code}`),
    );
    child.on("message", (message) => deps.events.said(slot, message));
    child.on("spawn", () => {
      deps.configure(slot).then(
        (config) => {
          if (child.connected) child.send(config);
          deps.events.launched(slot);
        },
        (error: unknown) => {
          deps.log("error", `worker-${slot} could not be configured: ${String(error)}`);
          child.kill("SIGKILL");
        },
      );
    });
  }

  function retire(slot: number, isLeaving: boolean): void {
    const child = childBySlot.get(slot);
    if (child === undefined) return;
    if (child.connected) child.send({ kind: "drain" });
    if (isLeaving) setTimeout(() => child.kill("SIGKILL"), options.drainMs).unref();
  }

  return {
    launch,
    retire,
    pause: (slot, isPaused) => {
      const child = childBySlot.get(slot);
      if (child?.connected) child.send({ kind: isPaused ? "pause" : "resume" });
    },
    hurry: () => {
      for (const child of childBySlot.values()) if (child.connected) child.send({ kind: "hurry" });
    },
    killAll: () => {
      for (const child of childBySlot.values()) child.kill("SIGKILL");
    },
    ended: () =>
      childBySlot.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiters.push(resolve);
          }),
  };
}
