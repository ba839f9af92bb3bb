// A sandbox that hides nothing and sees everything: the command runs with this user's rights on the
// machine as it is, under a tracer (native/audit), so that what it should have declared is there to
// be found (docs/adr/0022-audit.md).

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { type AuditTrace, decodeTrace } from "./audit-trace.ts";
import { checkCommand, neverStarted } from "./run-checks.ts";
import type { Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";

/** What is audited. */
export interface AuditingOptions {
  /** Path of the audit program (`findSandboxProgram`). */
  readonly program: string;
  /** Folder whose files appear in the exec root when they are asked for. */
  readonly workspace: string;
  /** Paths of the exec root that are never filled in so, such as outputs of an earlier build. */
  readonly skipped: readonly string[];
  /** Told what a run did, before its outputs are collected. */
  readonly onTrace: (trace: AuditTrace, run: SandboxRun) => void;
}

/** Exit code of the audit program itself where it could not do its work. */
const noTracer = 125;
/** The longest a timer of Node can wait; some 24 days. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Runs commands under the tracer. Of the limits only wall time holds. FAILED_PRECONDITION where
 * this machine allows no tracing. Whatever a command starts ends with it, and with this process.
 */
export class AuditingSandbox implements Sandbox {
  readonly isolation = "none";
  readonly #options: AuditingOptions;

  constructor(options: AuditingOptions) {
    this.#options = options;
  }

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    checkCommand(run);
    if (call.signal?.aborted) return neverStarted;
    const { program, workspace, skipped, onTrace } = this.#options;
    const layout = join(run.scratch, "audit-layout");
    const trace = join(run.scratch, "audit-trace");
    // The tracer tells where things are: without symlinks.
    const paths = [
      realpathSync(run.execRoot),
      realpathSync(workspace),
      ...[...skipped].sort(compareBytes),
    ];
    writeFileSync(layout, paths.map((path) => `${path}\0`).join(""));
    const startMs = performance.now();
    const words = [program, "trace", trace, layout, "--", ...run.argv];
    const ended = await runProgram(words, { ...run, env: withOwnHome(run) }, call.signal);
    const wallMs = performance.now() - startMs;
    if (!ended.cancelled) onTrace(readTrace(trace, run), run);
    return { ...ended, usage: { ...neverStarted.usage, wallMs } };
  }
}

/**
 * In the sandbox `/tmp` is the action's own, and so is a home in it. Here it is everybody's: what
 * tools keep in their home would be found by the next action.
 */
function withOwnHome({ env, scratch }: SandboxRun): SandboxRun["env"] {
  if (env["HOME"] !== "/tmp") return env;
  const home = join(scratch, "audit-home");
  mkdirSync(home);
  return { ...env, HOME: home };
}

/** As the program compares: by bytes. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function readTrace(path: string, run: SandboxRun): AuditTrace {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    const said = readFileSync(run.stderrPath, "utf8").slice(-300).trim();
    throw new MeshError(
      "FAILED_PRECONDITION",
      `The audit could not trace the command (${said || "it was killed"}). It needs ptrace: ` +
        "sysctl kernel.yama.ptrace_scope=1, and in a container a security profile that allows it.",
    );
  }
  return decodeTrace(bytes);
}

type Ended = Omit<SandboxResult, "usage">;

async function runProgram(
  [program = "", ...args]: readonly string[],
  run: SandboxRun,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  const files = [run.stdoutPath, run.stderrPath].map((path) => openSync(path, "a", 0o644));
  try {
    const child = spawn(program, args, {
      cwd: join(run.execRoot, run.workingDirectory),
      env: { ...run.env },
      stdio: ["ignore", ...files],
    });
    return await new Promise<Ended>((resolve, reject) => {
      let limit: Ended["limit"];
      let cancelled = false;
      // Asked to end, the tracer ends the command and still writes what it saw.
      const outOfTime = () => {
        limit = "timeout";
        child.kill("SIGTERM");
      };
      const cancel = () => {
        cancelled = true;
        child.kill("SIGKILL");
      };
      const deadline = setTimeout(outOfTime, Math.min(run.limits.wallMs, timerMsMax));
      signal?.addEventListener("abort", cancel, { once: true });
      const finish = () => {
        clearTimeout(deadline);
        signal?.removeEventListener("abort", cancel);
      };
      child.once("error", (error) => {
        finish();
        reject(error);
      });
      child.once("exit", (code, name) => {
        finish();
        const exitCode = name === null ? (code ?? noTracer) : 128 + constants.signals[name];
        resolve({ exitCode, limit, cancelled });
      });
    });
  } finally {
    for (const file of files) closeSync(file);
  }
}
