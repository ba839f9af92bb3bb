// The same action in the same sandbox, in another place, at another time, with other ids of
// processes, fewer cores and folders in another order: whatever it makes then must be the same. The
// clock and the order of folders are changed under the tracer of native/audit, inside the sandbox.

import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { join, posix } from "node:path";
import type { Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";

/** What is different in a run. */
export interface Variation {
  /** Below the exec root, where the action's own root is: `first`, `another/place`. */
  readonly place: string;
  /** What the clock says when the command starts, Unix seconds; it goes ten times slower then. */
  readonly startsAt: number;
  /** Cores that may be used; 0 for all. */
  readonly cores: number;
  /** Whether folders are made and listed in the other order. */
  readonly turned: boolean;
  /** Ids of processes used up before. */
  readonly ids: number;
}

/** What is varied with. */
export interface VaryingOptions {
  /** Does the work. */
  readonly sandbox: Sandbox;
  /** Path of the audit program (`findSandboxProgram`). */
  readonly program: string;
  readonly variation: Variation;
}

/** Beside the action's root, inside the exec root of the sandbox below. */
const programFolder = "builder-vary";

/** Runs actions with a variation; outputs are where they always are. */
export class VaryingSandbox implements Sandbox {
  readonly isolation: string;
  readonly ownerId: number | undefined;
  readonly #options: VaryingOptions;

  constructor(options: VaryingOptions) {
    this.#options = options;
    this.isolation = options.sandbox.isolation;
    this.ownerId = options.sandbox.ownerId;
  }

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    const { sandbox, program, variation } = this.#options;
    const { execRoot, scratch } = run;
    const { place, startsAt, cores, turned, ids } = variation;
    const aside = join(scratch, "varied-root");
    if (turned) remakeTurned(execRoot, aside);
    else renameSync(execRoot, aside);
    mkdirSync(join(execRoot, posix.dirname(place)), { recursive: true });
    renameSync(aside, join(execRoot, place));
    const own = join(execRoot, programFolder);
    mkdirSync(own);
    copyFileSync(program, join(own, "vary"));
    chmodSync(join(own, "vary"), 0o755);
    const workingDirectory = posix.join(place, run.workingDirectory);
    const vary = posix.relative(workingDirectory, join(programFolder, "vary"));
    const settings = [`${startsAt},${turned ? 1 : 0},${ids}`, String(cores)];
    try {
      const argv = [vary, "vary", ...settings, "--", ...run.argv] as const;
      return await sandbox.run({ ...run, workingDirectory, argv: [...argv] }, call);
    } finally {
      renameSync(join(execRoot, place), aside);
      rmSync(execRoot, { recursive: true, force: true });
      renameSync(aside, execRoot);
    }
  }
}

/** Moves a tree, folder by folder, each name in the other order than it was made in. */
function remakeTurned(from: string, to: string): void {
  mkdirSync(to);
  chmodSync(to, lstatSync(from).mode & 0o7777);
  for (const name of readdirSync(from).sort().reverse()) {
    const path = join(from, name);
    if (lstatSync(path).isDirectory()) remakeTurned(path, join(to, name));
    else renameSync(path, join(to, name));
  }
  rmdirSync(from);
}
