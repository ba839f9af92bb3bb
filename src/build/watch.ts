// Waiting until something that a build looked at has changed.
//
// The system's notes of changes only wake us; whether something changed is told by looking, as a
// build does. So it does not matter how an editor saves a file, or what else happens in a folder.

import { type FSWatcher, watch } from "node:fs";
import { dirname, join } from "node:path";
import { type Look, lookAt, statOf } from "../workspace/look.ts";

/** What to wait for. */
export interface Watched {
  readonly root: string;
  /** Path below the root → its look when the build read it. */
  readonly lookByPath: ReadonlyMap<string, Look>;
  readonly signal: AbortSignal;
  /** Told once, with the reason, where the system cannot watch so much: files are polled then. */
  readonly onPolling: (why: string) => void;
}

/** How to wait. Tests need not wait so long, and have systems that cannot watch. */
export interface WatchOptions {
  /** Nothing must happen for so long before it is looked at: saving takes many steps. */
  readonly quietMs: number;
  readonly pollMs: number;
  /** As `watch` of node:fs. */
  readonly watchFolder: (folder: string, ring: () => void) => FSWatcher;
}

const usual: WatchOptions = { quietMs: 300, pollMs: 1000, watchFolder: watch };

/** Resolves with the first changed path, or undefined once the signal is aborted. */
export async function nextChange(
  watched: Watched,
  options: WatchOptions = usual,
): Promise<string | undefined> {
  const alarm = createAlarm();
  const stopped = () => alarm.ring();
  watched.signal.addEventListener("abort", stopped, { once: true });
  // Watching begins before the first look: what happens in between is seen by one of them.
  const watchers = watchFolders(watched, options, alarm.ring);
  try {
    while (!watched.signal.aborted) {
      const changed = changedPath(watched);
      if (changed !== undefined && (await isQuiet(alarm, options.quietMs))) return changed;
      if (changed === undefined) await alarm.wait(watchers.polling ? options.pollMs : undefined);
    }
    return undefined;
  } finally {
    watched.signal.removeEventListener("abort", stopped);
    for (const watcher of watchers.open) watcher.close();
  }
}

/** A changed file or else folder: a new name in a folder changes it as well, and says less. */
function changedPath({ root, lookByPath }: Watched): string | undefined {
  let folder: string | undefined;
  for (const [path, look] of lookByPath) {
    if (lookAt(join(root, path)) === look) continue;
    if (statOf(join(root, path))?.isDirectory() !== true) return path;
    folder ??= path;
  }
  return folder;
}

/** True once nothing has happened for a while; false where something did. */
async function isQuiet(alarm: Alarm, quietMs: number): Promise<boolean> {
  return !(await alarm.wait(quietMs));
}

interface Alarm {
  ring(): void;
  /** True where it rang, at once if it has since the last wait; false after `ms`. */
  wait(ms: number | undefined): Promise<boolean>;
}

function createAlarm(): Alarm {
  let rang = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      rang = true;
      wake?.();
    },
    wait: (ms) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = ms === undefined ? undefined : setTimeout(() => resolve(false), ms);
      wake = () => {
        clearTimeout(timer);
        rang = false;
        resolve(true);
      };
      if (rang) wake();
      return promise.finally(() => {
        wake = undefined;
      });
    },
  };
}

/** One watcher a folder. Those of whole trees would also watch what no build looks at. */
function watchFolders(
  { root, lookByPath, onPolling }: Watched,
  options: WatchOptions,
  ring: () => void,
): { readonly open: readonly FSWatcher[]; readonly polling: boolean } {
  const folders = new Set<string>();
  for (const path of lookByPath.keys()) {
    folders.add(join(root, dirname(path)));
    // Should it be a folder itself; a file is watched through its folder.
    folders.add(join(root, path));
  }
  const open: FSWatcher[] = [];
  try {
    for (const folder of folders) {
      const watcher = watchFolder(folder, options, ring);
      if (watcher !== undefined) open.push(watcher);
    }
    return { open, polling: false };
  } catch (error) {
    for (const watcher of open) watcher.close();
    onPolling(error instanceof Error ? error.message : String(error));
    return { open: [], polling: true };
  }
}

/** Undefined for what is no folder or not there: its parent's watcher tells when that changes. */
function watchFolder(
  folder: string,
  options: WatchOptions,
  ring: () => void,
): FSWatcher | undefined {
  if (statOf(folder)?.isDirectory() !== true) return undefined;
  try {
    const watcher = options.watchFolder(folder, ring);
    watcher.on("error", ring);
    return watcher;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}
