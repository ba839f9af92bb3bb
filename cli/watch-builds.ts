// `--watch`: a build after every change of what the last one looked at, until Ctrl-C.

import { join } from "node:path";
import { nextChange } from "../src/build/watch.ts";
import { failureOf } from "../src/core/error.ts";
import { printable } from "../src/telemetry/logger.ts";
import { absent, type Look, lookAt } from "../src/workspace/look.ts";
import type { BuildRequest, BuildSession } from "./build-session.ts";
import { exitCodeOfError } from "./program.ts";

/** What each build of a watch is asked for besides its targets. */
export type WatchedRequest = Pick<BuildRequest, "startedAtMs" | "beforeWork"> & {
  readonly looked: (lookByPath: ReadonlyMap<string, Look>) => void;
};

/**
 * Builds and waits, again and again. Resolves at Ctrl-C with the exit code of the last build. A
 * build that cannot be planned (a Builderfile with an error) is told, and the next change awaited.
 */
export async function watchBuilds(
  { output, signal, flags }: BuildSession,
  root: string,
  startedAtMs: number,
  build: (request: WatchedRequest) => Promise<number>,
): Promise<number> {
  const say = (text: string) => (flags.json === true ? output.warn : output.write)(text);
  let lookByPath: ReadonlyMap<string, Look> = new Map([["Builderfile", absent]]);
  let polling = false;
  const onPolling = (why: string) => {
    if (!polling) say(`[INFO] Looking for changes every second instead (${printable(why)})\n`);
    polling = true;
  };
  for (let changed: string | undefined; ; ) {
    const separator = separatorOf(changed, say);
    // Where a build ends before it tells what it looked at, the same files are waited for.
    lookByPath = new Map([...lookByPath.keys()].map((path) => [path, lookAt(join(root, path))]));
    const exitCode = await build({
      startedAtMs: changed === undefined ? startedAtMs : Date.now(),
      looked: (looks) => {
        lookByPath = looks;
      },
      // A touched file alone is no news: without work the screen stays as it is.
      ...(changed === undefined ? {} : { beforeWork: separator }),
    }).catch((error: unknown) => {
      if (signal.aborted) throw error;
      separator();
      output.warn(`[ERROR] ${failureOf(error).message}\n`);
      return exitCodeOfError(error);
    });
    if (changed === undefined) say("[INFO] Waiting for changes (Ctrl-C ends)\n");
    changed = await nextChange({ root, lookByPath, signal, onPolling });
    if (changed === undefined) return exitCode;
  }
}

/** Says once what has changed, as a line between two builds. */
function separatorOf(changed: string | undefined, say: (text: string) => void): () => void {
  let said = changed === undefined;
  return () => {
    if (!said) say(`──── ${printable(changed || "the workspace")} changed\n`);
    said = true;
  };
}
