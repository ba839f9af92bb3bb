// A build: nothing if nothing changed; else plan, run, put the wanted files in place, remember.

import { join } from "node:path";
import type { Look } from "../workspace/look.ts";
import type { PlacedTarget, Workspace } from "../workspace/workspace.ts";
import type { BuildEvent, BuildSummary } from "./build-event.ts";
import type { Download } from "./build-run.ts";
import type { ActionExecutor, Place } from "./executor.ts";
import {
  keepBuild,
  type RecalledBuild,
  recallBuild,
  type Shown,
  seenOutput,
  tellUnchanged,
} from "./unchanged.ts";

/** What a build works with. */
export interface BuilderDeps {
  /** Opened when the first action must run; `remote: false` targets get the local one. */
  readonly executorFor: (place: Place) => Promise<ActionExecutor>;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
  /**
   * Told at the end, however it came, what of the workspace the build looked at, for those who wait
   * for changes.
   */
  readonly looked?: (lookByPath: ReadonlyMap<string, Look>) => void;
}

/** What to build and how. */
export interface BuildOptions {
  /** Where it was asked, absolute and without symlinks. */
  readonly folder: string;
  /** What was asked, as one text: the same text means the same build. */
  readonly request: string;
  /** Opens the workspace and chooses in it; not called where nothing changed. */
  readonly choose: () => {
    readonly workspace: Workspace;
    readonly wanted: readonly PlacedTarget[];
  };
  /** Run the wanted tests too. */
  readonly test: boolean;
  /** Most actions at once. */
  readonly jobs: number;
  /** Go on with what does not depend on a failure. */
  readonly keepGoing: boolean;
  readonly download: Download;
  /** File of the program that answers, absolute: another version may answer otherwise. */
  readonly program: string;
  /** Names the tools. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly shown: Shown;
  /** Arguments for every test, after those of its target. */
  readonly testArgs: readonly string[];
  /** Further attempts of a failed test; undefined leaves it to each target. */
  readonly flakyRetries: number | undefined;
  /** Say of each action that ran why it was no hit. */
  readonly explain: boolean;
  readonly signal: AbortSignal;
}

/** Builds. Throws MeshError for what is wrong with the request; failing commands are events. */
export async function build(deps: BuilderDeps, options: BuildOptions): Promise<BuildSummary> {
  const startedAtMs = deps.now();
  const recalled = recallBuild(options.folder, options.request, options.env);
  if (recalled !== undefined && (await restore(deps, recalled))) {
    const inside = recalled.record.inputs.filter(({ path }) => !path.startsWith("/"));
    deps.looked?.(new Map(inside.map(({ path, look }) => [path, look])));
    return tellUnchanged(recalled.record, deps.emit, deps.now() - startedAtMs);
  }
  // Planning and encoding are loaded only now: most builds of a day change nothing.
  const { buildChanged } = await import("./build-changed.ts");
  return buildChanged(deps, options, startedAtMs);
}

/** Puts lost outputs back by their digests; false where that is impossible for whatever reason. */
async function restore(
  { executorFor, now }: BuilderDeps,
  { root, record, lost }: RecalledBuild,
): Promise<boolean> {
  if (lost.length === 0) return true;
  const places = [...record.outputs];
  try {
    for (const output of lost) {
      const executor = await executorFor(output);
      await executor.download(output.digest, join(root, output.path), output);
      places[places.indexOf(output)] = seenOutput(root, output, now());
    }
  } catch {
    // The whole way finds out why, and says so or finds another way.
    return false;
  }
  keepBuild(root, { ...record, outputs: places });
  return true;
}
