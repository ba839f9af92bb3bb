// Isolation on Windows: a job object with limits, and a token that may do little. The work is done
// by the program in native/windows/, one for each action, because Node has neither.
//
// Not closed here: reading what every user of the machine may read, and the network. Windows has
// doors for them only in app containers, in which compilers do not run.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { MeshError } from "../core/error.ts";
import { invalid, neverStarted } from "./run-checks.ts";
import type { Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";
import { decodeAnswer, encodeSpec } from "./sandbox-protocol.ts";

/** The program as it is shipped. */
export const windowsProgram = fileURLToPath(
  new URL("../../native/prebuilt/win32-x64/builder-job.exe", import.meta.url),
);

/** What a Windows sandbox is made of. */
export interface WindowsSandboxOptions {
  /** The program, behind what runs it where this is no Windows. */
  readonly command: readonly [string, ...string[]];
  /** The folder of the system, which programs cannot do without: its `SystemRoot`. */
  readonly systemRoot: string;
}

/** Bound: the answer is one line of a few numbers. */
const answerCharsMax = 4096;

/**
 * Runs each command in a job of its own. Whatever dies, no process of an action stays.
 * UNAVAILABLE where that cannot be set up.
 */
export class WindowsSandbox implements Sandbox {
  readonly isolation = "job+restricted-token";
  readonly #options: WindowsSandboxOptions;

  constructor(options: WindowsSandboxOptions) {
    this.#options = options;
  }

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    if (run.interactive === true) {
      throw invalid("A user can be let in only where the worker runs on Linux.");
    }
    const env = completeEnv(run, this.#options.systemRoot);
    const spec = encodeSpec({ ...run, env }, { cgroups: [], hostId: 0 });
    if (call.signal?.aborted) return neverStarted;
    const [program, ...before] = this.#options.command;
    const child = spawn(program, before, { stdio: ["pipe", "pipe", "ignore"], windowsHide: true });
    const result = decodeAnswer(await converse(child, spec, call.signal), windowsFailure);
    // REAPI's codes are of 32 bits with a sign, those of Windows without.
    return { ...result, exitCode: result.exitCode | 0 };
  }
}

/**
 * The environment as Windows wants it: with the system's folder, in the order of names whatever
 * their case. Temporary files go to a folder beside the exec root, in which the action may write.
 */
export function completeEnv(
  { env, scratch }: Pick<SandboxRun, "env" | "scratch">,
  systemRoot: string,
): Readonly<Record<string, string>> {
  const given = new Set(Object.keys(env).map((name) => name.toUpperCase()));
  const usual = { SystemRoot: systemRoot, TEMP: `${scratch}\\tmp`, TMP: `${scratch}\\tmp` };
  const missing = Object.entries(usual).filter(([name]) => !given.has(name.toUpperCase()));
  const upper = (name: string) => name.toUpperCase();
  return Object.fromEntries(
    [...Object.entries(env), ...missing].sort(([a], [b]) => (upper(a) < upper(b) ? -1 : 1)),
  );
}

/** Hands over a specification; resolves with what the program said once it has ended. */
function converse(
  child: ChildProcess,
  spec: Buffer,
  signal: AbortSignal | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const cancel = () => child.stdin?.write("c");
    child.once("error", (cause) => {
      const message = `The sandbox program could not be started (${cause.message}).`;
      reject(new MeshError("UNAVAILABLE", message, { cause }));
    });
    child.once("close", () => {
      signal?.removeEventListener("abort", cancel);
      resolve(answer.trim());
    });
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      answer = (answer + text).slice(0, answerCharsMax);
    });
    // One that dies early closes its input under us; "close" follows and tells the rest.
    child.stdin?.on("error", () => undefined).write(spec);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

function windowsFailure(step: string, error: number): MeshError {
  if (step === "chdir") {
    return invalid("The command's working directory cannot be entered. Declare it as an input.");
  }
  return new MeshError(
    "UNAVAILABLE",
    `The sandbox could not be set up (${step}: Windows error ${error}). Correct that, or start ` +
      "with --sandbox=none to run actions without isolation.",
    { step, error },
  );
}
