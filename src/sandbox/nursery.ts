// The sandbox program as a nursery: started once, it forks every run by itself. Forking this
// process instead costs 4 to 5 ms an action, because it is large (native/nursery.c).

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable, Writable } from "node:stream";
import { MeshError } from "../core/error.ts";

/** Where runs come from. */
export interface Nursery {
  /** The control socket of a new run. UNAVAILABLE or RESOURCE_EXHAUSTED where there is none. */
  newRun(): Promise<Socket>;
}

/** A running program. */
interface Started {
  readonly path: string;
  readonly isOver: () => boolean;
}

/** Starts the program at the first run, and again should it die. It ends with this process. */
export function createNursery(program: string): Nursery {
  let starting: Promise<Started> | undefined;
  async function started(): Promise<Started> {
    const known = await starting?.catch(() => undefined);
    if (known !== undefined && !known.isOver()) return known;
    starting = start(program);
    return starting;
  }
  return {
    newRun: async () => {
      const { path } = await started();
      try {
        return await connected(path);
      } catch {
        // It died in between: once more with a new one, and then it is this machine's trouble.
        starting = start(program);
        return connected((await starting).path);
      }
    },
  };
}

/**
 * A run that has this process's own standard input, output and error, which a nursery that was
 * started once for all cannot pass on. `ended` resolves when the user's terminal is as it was.
 */
export function startAtTerminal(program: string): {
  readonly control: Duplex;
  readonly ended: Promise<void>;
} {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stdio = ["inherit", "inherit", "inherit", "pipe"] as const;
  const child = spawn(program, ["--terminal"], { cwd: "/", env: {}, stdio: [...stdio] });
  child.once("error", (cause) => reject(startFailure(program, cause)));
  child.once("exit", () => resolve());
  const control = controlOf(child.stdio[3]);
  if (control === undefined) throw startFailure(program, new Error("it has no control socket"));
  return { control, ended: promise };
}

/** A run with pipes of its own as standard input and output; its errors go to a file. */
export function startWithPipes(
  program: string,
  stderrPath: string,
): {
  readonly control: Duplex;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** The supervisor's process id; another's once it is over. */
  readonly pid: number;
  readonly isOver: () => boolean;
} {
  const stderr = openSync(stderrPath, "a", 0o644);
  try {
    const stdio = ["pipe", "pipe", stderr, "pipe"] as const;
    // Without a terminal in sight that word only means: the descriptors that are there.
    const child = spawn(program, ["--terminal"], { cwd: "/", env: {}, stdio: [...stdio] });
    const { pid, stdin, stdout } = child;
    let over = false;
    child.once("exit", () => {
      over = true;
    });
    let failed: Error | undefined;
    child.once("error", (cause) => {
      failed = cause;
    });
    const control = controlOf(child.stdio[3]);
    if (pid === undefined || stdin === null || stdout === null || control === undefined) {
      throw startFailure(program, failed ?? new Error("it has no pipes"));
    }
    return { control, stdin, stdout, pid, isOver: () => over };
  } finally {
    closeSync(stderr);
  }
}

function start(program: string): Promise<Started> {
  // Only this user can enter the folder, and the program refuses everybody else besides.
  const folder = mkdtempSync(join(tmpdir(), "builder-sandbox-"));
  const path = join(folder, "socket");
  const { promise, resolve, reject } = Promise.withResolvers<Started>();
  const child = spawn(program, ["--nursery", path], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  let over = false;
  child.once("error", (cause: Error & { code?: string }) => reject(startFailure(program, cause)));
  child.once("exit", () => {
    over = true;
    rmSync(folder, { recursive: true, force: true });
    reject(new MeshError("UNAVAILABLE", `The sandbox program ${program} ended at once.`));
  });
  const control = controlOf(child.stdio[3]);
  control?.once("data", () => resolve({ path, isOver: () => over }));
  control?.on("error", () => undefined);
  return promise.finally(() => {
    // It waits for us, not we for it.
    child.unref();
    control?.unref();
  });
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function startFailure(program: string, cause: Error & { code?: string }): MeshError {
  const passes = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"].includes(cause.code ?? "");
  return new MeshError(
    passes ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
    `The sandbox program ${program} could not be started (${cause.message}).`,
    { cause },
  );
}

/** Node gives a socket for an extra "pipe"; its type only knows that it could be anything. */
function controlOf(stream: unknown): (Duplex & { unref(): void }) | undefined {
  const isSocket = (value: unknown): value is Duplex & { unref(): void } =>
    typeof value === "object" && value !== null && "write" in value && "unref" in value;
  return isSocket(stream) ? stream : undefined;
}
