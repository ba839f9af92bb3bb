// Isolation on Linux: namespaces, and cgroups where this machine lets us. The work is done by the
// sandbox program in native/, one short-lived process per action, because Node can neither clone
// into namespaces nor outlive itself to clean up (docs/adr/0008-sandbox-helper.md).

import type { Duplex } from "node:stream";
import { type FrozenTree, freezeTree } from "./frozen-tree.ts";
import { createNursery, type Nursery, startAtTerminal, startWithPipes } from "./nursery.ts";
import { neverStarted } from "./run-checks.ts";
import type { KeptProcess, Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";
import { decodeAnswer, encodeSpec, type SandboxSettings } from "./sandbox-protocol.ts";

/** What a Linux sandbox is made of. */
export interface LinuxSandboxOptions extends SandboxSettings {
  /** Path of the sandbox program (`findSandboxProgram`). */
  readonly program: string;
}

/** Bound: the answer is one line of a few numbers. */
const answerCharsMax = 4096;

/**
 * Runs each command in new user, mount, process, network, IPC and host-name namespaces.
 * Whatever dies, nothing of an action stays: process, mount, cgroup, or its scratch folder.
 * UNAVAILABLE where a sandbox cannot be set up on this machine; RESOURCE_EXHAUSTED where not now.
 */
export class LinuxSandbox implements Sandbox {
  readonly isolation: string;
  readonly ownerId: number | undefined;
  readonly #options: LinuxSandboxOptions;
  readonly #nursery: Nursery;

  constructor(options: LinuxSandboxOptions) {
    this.#options = options;
    this.ownerId = options.hostId === 0 ? undefined : options.hostId;
    this.#nursery = createNursery(options.program);
    this.isolation = options.cgroups.length > 0 ? "namespaces+cgroup" : "namespaces+rlimits";
  }

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    const spec = encodeSpec(run, this.#options);
    if (call.signal?.aborted) return neverStarted;
    if (run.interactive === true) {
      const started = startAtTerminal(this.#options.program);
      const answer = await converse(started.control, spec, call.signal);
      await started.ended;
      return resultOf(answer, call.signal);
    }
    const control = await this.#nursery.newRun();
    if (!call.signal?.aborted) {
      return resultOf(await converse(control, spec, call.signal), call.signal);
    }
    control.destroy();
    return neverStarted;
  }

  keep(run: SandboxRun): KeptProcess {
    const spec = encodeSpec({ ...run, interactive: true }, this.#options);
    const started = startWithPipes(this.#options.program, run.stderrPath);
    const { control, stdin, stdout } = started;
    // Who writes to a process that died, or reads from it, learns that by `ended`.
    stdin.on("error", () => undefined);
    stdout.on("error", () => undefined);
    const stop = new AbortController();
    const ended = converse(control, spec, stop.signal).then((answer) =>
      resultOf(answer, stop.signal),
    );
    ended.catch(() => undefined);
    let frozen: FrozenTree | undefined;
    return {
      ...{ stdin, stdout, ended },
      freeze: async () => {
        frozen = await freezeTree(started);
        return frozen?.usage;
      },
      thaw: () => frozen?.thaw(),
      kill: () => stop.abort(),
    };
  }
}

/** Hands a run its specification; the answer arrives when all is over. */
function converse(control: Duplex, spec: Buffer, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const cancel = () => control.write("c");
    control.once("close", () => {
      signal?.removeEventListener("abort", cancel);
      resolve(answer.trim());
    });
    // A program that dies early closes the socket under us; "close" follows and tells the rest.
    control.on("error", () => {});
    control.setEncoding("utf8");
    control.on("data", (text: string) => {
      answer = (answer + text).slice(0, answerCharsMax);
    });
    control.write(spec);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

/**
 * A "cancel" that is written when the run has just ended finds nobody there, and the stream that
 * fails takes along what was answered and not yet read. All is over then, too.
 */
function resultOf(answer: string, signal: AbortSignal | undefined): SandboxResult {
  return answer === "" && signal?.aborted ? neverStarted : decodeAnswer(answer);
}
