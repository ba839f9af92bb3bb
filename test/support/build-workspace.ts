// A workspace on disk and builds of it with an executor of the test's own.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { BuildEvent, BuildSummary } from "../../src/build/build-event.ts";
import { type BuildOptions, build } from "../../src/build/builder.ts";
import type { ActionExecutor } from "../../src/build/executor.ts";
import { chooseTargets } from "../../src/workspace/target-pattern.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { createDirectExecutor, type DirectExecutor } from "./direct-executor.ts";

/** What a build did. */
export interface Built extends BuildSummary {
  readonly events: readonly BuildEvent[];
  /** Ids of the actions that ran, without `//:`, sorted. */
  readonly ids: readonly string[];
  /** Failures, each with what the command said. */
  readonly failures: readonly string[];
  /** Calls of the executor. */
  readonly calls: number;
}

/** What a test can vary. */
export type BuildChoice = Partial<
  Pick<
    BuildOptions,
    | ("test" | "jobs" | "keepGoing" | "env" | "download" | "signal")
    | ("testArgs" | "flakyRetries" | "program" | "explain")
  >
> & {
  /** All of the root's when left out. */
  readonly names?: readonly string[];
  /** For targets with `remote: false`; the same as for the others when left out. */
  readonly local?: ActionExecutor;
  readonly from?: string;
  readonly onEvent?: (event: BuildEvent) => void;
};

const opened: BuildWorkspace[] = [];

/** A workspace with these files, removed by `removeWorkspaces`. */
export function workspaceOf(
  files: Readonly<Record<string, string>>,
  base = tmpdir(),
): BuildWorkspace {
  const workspace = new BuildWorkspace(files, base);
  opened.push(workspace);
  return workspace;
}

/** Removes what the test made. */
export function removeWorkspaces(): void {
  for (const workspace of opened.splice(0)) workspace.remove();
}

/** A folder with files, gone with `remove`. */
export class BuildWorkspace {
  readonly folder: string;
  executor: DirectExecutor = createDirectExecutor();
  /** How far the builds' clock is ahead: files look long untouched then, without any waiting. */
  aheadMs = 3_600_000;

  constructor(files: Readonly<Record<string, string>>, base = tmpdir()) {
    this.folder = mkdtempSync(join(base, "build-"));
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  path(path: string): string {
    return join(this.folder, path);
  }

  read(path: string): string {
    return readFileSync(this.path(path), "utf8");
  }

  /** What a built program prints. */
  run(path: string): string {
    return execFileSync(this.path(path), { encoding: "utf8" });
  }

  async build(choice: BuildChoice = {}): Promise<Built> {
    const folder = realpathSync(join(this.folder, choice.from ?? ""));
    const choose = () => {
      const workspace = openWorkspace(folder, choice.env ?? {});
      const names = choice.names ?? [":*"];
      const wanted = names.length === 0 ? [] : chooseTargets(workspace, names).targets;
      return { workspace, wanted };
    };
    const before = { ran: this.executor.ran.length, calls: this.executor.calls() };
    const events: BuildEvent[] = [];
    const summary = await build(
      {
        executorFor: async ({ remote }) =>
          remote ? this.executor : (choice.local ?? this.executor),
        emit: (event) => {
          events.push(event);
          choice.onEvent?.(event);
        },
        now: () => Date.now() + this.aheadMs,
      },
      {
        folder,
        request: JSON.stringify([choice.names, choice.test, choice.download, choice.testArgs]),
        choose,
        test: choice.test ?? false,
        jobs: choice.jobs ?? 4,
        keepGoing: choice.keepGoing ?? false,
        download: choice.download ?? "top",
        program: choice.program ?? process.execPath,
        env: choice.env ?? {},
        shown: { json: false, node: "", color: "auto", alone: true },
        testArgs: choice.testArgs ?? [],
        flakyRetries: choice.flakyRetries,
        explain: choice.explain ?? false,
        signal: choice.signal ?? new AbortController().signal,
      },
    );
    const failures = events.flatMap((event) => {
      if (event.kind !== "action" || (event.exitCode === 0 && event.failure === "")) return [];
      return [`${event.id} ${event.exitCode} ${event.failure} ${event.stdout}${event.stderr}`];
    });
    const ids = this.executor.ran
      .slice(before.ran)
      .map((id) => id.replace("//:", ""))
      .sort();
    return { ...summary, events, ids, failures, calls: this.executor.calls() - before.calls };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
