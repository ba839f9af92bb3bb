// A process of its own that runs commands in the sandbox it chose: as another user, or to be
// killed. Orders come as messages of its parent, which answers go back to.

import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { type Code, failureOf, MeshError } from "../../src/core/error.ts";
import { chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import type { SandboxResult, SandboxRun } from "../../src/sandbox/sandbox.ts";
import type { SandboxSubject } from "../conformance/sandbox.ts";

type Order =
  | { readonly kind: "run"; readonly id: number; readonly run: SandboxRun }
  | { readonly kind: "abort"; readonly id: number };

type Answer =
  | { readonly kind: "ready"; readonly isolation: string }
  | { readonly kind: "ended"; readonly id: number; readonly result: SandboxResult }
  | { readonly kind: "threw"; readonly id: number; readonly code: Code; readonly text: string };

/** An ordinary user of this machine. */
export const ordinaryUser = 1000;

/**
 * True where tests can become an ordinary user: they run as root and that user can read this
 * checkout. Says so where it is not the case; the tests that need it are then left out.
 */
export function canBecomeOrdinary(): boolean {
  if (process.getuid?.() !== 0) return false;
  const file = new URL(import.meta.url).pathname;
  const user = { uid: ordinaryUser, gid: ordinaryUser };
  if (spawnSync("/usr/bin/test", ["-r", file], user).status === 0) return true;
  process.stderr.write(
    `SKIPPED an ordinary user's tests: user ${ordinaryUser} cannot read ${file}\n`,
  );
  return false;
}

/** A sandbox in another process. */
export interface RemoteSubject extends SandboxSubject {
  readonly process: ChildProcess;
}

/**
 * Starts this file as `user` and has it choose a sandbox; `stateFolder` must be the user's. `start`
 * is a line of shell that starts `"$@"`, itself as this user.
 */
export async function forkSandbox(
  user: number,
  stateFolder: string,
  start?: string,
): Promise<RemoteSubject> {
  const ordinary = user === process.getuid?.() ? {} : { uid: user, gid: user };
  const child = fork(new URL(import.meta.url), [stateFolder], {
    serialization: "advanced",
    ...(start === undefined
      ? { execArgv: [], ...ordinary }
      : { execPath: "/bin/sh", execArgv: ["-c", start, "sh", process.execPath] }),
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  const isolation = await new Promise<string>((resolve, reject) => {
    child.once("exit", () => reject(new Error("The sandbox process died.")));
    child.on("message", (answer: Answer) => {
      if (answer.kind === "ready") resolve(answer.isolation);
      else waiting.get(answer.id)?.(answer);
    });
  });
  let runs = 0;
  const run = async (order: SandboxRun, call: { readonly signal?: AbortSignal } = {}) => {
    const id = runs++;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    child.send({ kind: "run", id, run: order } satisfies Order);
    const abort = () => child.send({ kind: "abort", id } satisfies Order);
    if (call.signal?.aborted) abort();
    call.signal?.addEventListener("abort", abort, { once: true });
    const answer = await answered;
    if (answer.kind === "ended") return answer.result;
    if (answer.kind === "threw") throw new MeshError(answer.code, answer.text);
    throw new Error(`The sandbox process answered a run with ${answer.kind}.`);
  };
  const close = async () => void child.kill();
  return { sandbox: { isolation, run }, owner: user, process: child, close };
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const [, , stateFolder = ""] = process.argv;
  const sandbox = await chooseSandbox({ want: "auto", stateFolder });
  const aborts = new Map<number, AbortController>();
  const say = (answer: Answer) => process.send?.(answer);
  process.on("message", async (order: Order) => {
    const { id } = order;
    if (order.kind === "abort") return aborts.get(id)?.abort();
    const abort = new AbortController();
    aborts.set(id, abort);
    // A turn later, so that an abort sent along with the run comes before it.
    await new Promise((resolve) => setTimeout(resolve, 5));
    await sandbox.run(order.run, { signal: abort.signal }).then(
      (result) => say({ kind: "ended", id, result }),
      (error: unknown) => {
        const { code, message } = failureOf(error);
        say({ kind: "threw", id, code, text: message });
      },
    );
  });
  say({ kind: "ready", isolation: sandbox.isolation });
}
