// A program that was built, run for the user: at the user's terminal, in the user's folder, with
// the user's signals.

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { MeshError } from "../core/error.ts";

/** Signals that ask a program to end or to look again, and so are for the program. */
const passedOn = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2"] as const;

/**
 * Runs a program to its end. Resolves with its exit code, 128 and the signal's number where one
 * ended it. FAILED_PRECONDITION where it cannot be started.
 */
export function runProgram(path: string, args: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let child: ChildProcess | undefined;
  // Before the program is there: it may ask for a signal in its first instant.
  const handlers = passedOn.map((name) => {
    // Ctrl-C and Ctrl-\ of a terminal reach the whole group, the program among it.
    const fromTerminal = (name === "SIGINT" || name === "SIGQUIT") && process.stdin.isTTY;
    const handler = () => {
      if (!fromTerminal) child?.kill(name);
    };
    process.on(name, handler);
    return { name, handler };
  });
  // Set by our own start for Node's sake: a program that is one too has nothing to do with it.
  const { NODE_COMPILE_CACHE: _ours, ...env } = process.env;
  child = spawn(path, [...args], { stdio: "inherit", env });
  child.once("error", (cause) => {
    const message = `${path} cannot be run (${cause.message}).`;
    reject(new MeshError("FAILED_PRECONDITION", message, { cause }));
  });
  child.once("exit", (code, name) => {
    resolve(name === null ? (code ?? 0) : 128 + constants.signals[name]);
  });
  return promise.finally(() => {
    for (const { name, handler } of handlers) process.off(name, handler);
  });
}
