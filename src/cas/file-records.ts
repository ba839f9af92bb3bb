// What the file system does not know about blobs: sizes in total, last use, pins, action results.
// LMDB, because several processes of one host share it without a server (docs/adr/0009-store.md).
//
// Whether a blob exists is the file system's answer alone; an entry here without a file, or a file
// without an entry, is harmless and mended when met.

import { readFileSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { MeshError, wrap } from "../core/error.ts";

/** One stored file: `hash-size` or its executable twin, below its function. */
export type FileKey = string;

interface FileEntry {
  readonly size: number;
  /** Minutes since 1970 of the last use; coarse, so that repeated uses write nothing. */
  readonly used: number;
}

/** A result as stored. */
export interface StoredResult {
  readonly bytes: Uint8Array;
  readonly storedAtMs: number;
}

/** The index of one store folder. All methods are safe to call from several processes at once. */
export interface StoreIndex {
  /**
   * Records files as stored and used now; known ones only when their last use is older. Written in
   * the background: nobody waits for bookkeeping. A failure shows at the next `totalBytes`.
   */
  use(files: readonly { readonly key: FileKey; readonly size: number }[]): void;
  forget(keys: readonly FileKey[]): Promise<void>;
  totalBytes(): number;
  /** Least recently used first, not used since `beforeMs` and not pinned. */
  oldest(beforeMs: number, limit: number): { readonly key: FileKey; readonly size: number }[];
  pin(keys: readonly FileKey[], pinner: string): Promise<void>;
  unpin(keys: readonly FileKey[], pinner: string): Promise<void>;
  getResult(key: string): StoredResult | undefined;
  putResult(key: string, result: StoredResult): Promise<void>;
  close(): Promise<void>;
}

const schema = 1;
const minuteMs = 60_000;

/** Opens or creates the index in `folder`. FAILED_PRECONDITION for another version's index. */
export function openStoreIndex(folder: string, deps: { readonly now: () => number }): StoreIndex {
  const root = open({ path: folder, maxDbs: 8 });
  checkSchema(root, folder);
  const files: Database<FileEntry, string> = root.openDB({ name: "files" });
  const uses: Database<boolean, [number, string]> = root.openDB({ name: "uses" });
  const pins: Database<boolean, [string, string]> = root.openDB({ name: "pins" });
  const results: Database<StoredResult, string> = root.openDB({ name: "results" });
  const totals: Database<number, string> = root.openDB({ name: "totals" });
  let broken: MeshError | undefined;
  const minute = () => Math.floor(deps.now() / minuteMs);

  function record(key: FileKey, size: number, used: number): void {
    const entry = files.get(key);
    if (entry === undefined) totals.putSync("bytes", (totals.get("bytes") ?? 0) + size);
    else uses.removeSync([entry.used, key]);
    files.putSync(key, { size, used });
    uses.putSync([used, key], true);
  }

  function drop(key: FileKey): void {
    const entry = files.get(key);
    if (entry === undefined) return;
    totals.putSync("bytes", Math.max(0, (totals.get("bytes") ?? 0) - entry.size));
    uses.removeSync([entry.used, key]);
    files.removeSync(key);
  }

  function pinned(key: FileKey): boolean {
    for (const { key: pin } of pins.getRange({ start: [key], end: [key, "\uffff"] })) {
      if (pinnerLives(pin[1])) return true;
      pins.removeSync(pin);
    }
    return false;
  }

  return {
    use: (list) => {
      const used = minute();
      const stale = list.filter(({ key }) => files.get(key)?.used !== used);
      if (stale.length === 0) return;
      const written = root.transaction(() => {
        for (const { key, size } of stale) record(key, size, used);
      });
      written.catch((error: unknown) => {
        broken = wrap(error, "While writing the store index");
      });
    },
    forget: async (keys) => {
      await root.transaction(() => keys.forEach(drop));
    },
    totalBytes: () => {
      if (broken !== undefined) throw broken;
      return totals.get("bytes") ?? 0;
    },
    oldest: (beforeMs, limit) => {
      const found: { key: FileKey; size: number }[] = [];
      const end = Math.floor(beforeMs / minuteMs);
      for (const { key } of uses.getRange({ end: [end] })) {
        if (found.length >= limit) break;
        const entry = files.get(key[1]);
        if (entry !== undefined && !pinned(key[1])) found.push({ key: key[1], size: entry.size });
      }
      return found;
    },
    pin: async (keys, pinner) => {
      await root.transaction(() => {
        for (const key of keys) pins.putSync([key, pinner], true);
      });
    },
    unpin: async (keys, pinner) => {
      await root.transaction(() => {
        for (const key of keys) pins.removeSync([key, pinner]);
      });
    },
    getResult: (key) => results.get(key),
    putResult: async (key, result) => {
      await results.put(key, result);
    },
    close: () => root.close(),
  };
}

function checkSchema(root: RootDatabase, folder: string): void {
  const meta: Database<number, string> = root.openDB({ name: "meta" });
  const found = meta.get("schema");
  if (found === undefined) meta.putSync("schema", schema);
  else if (found !== schema) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `The store index in ${folder} is of version ${found}, this program wants ${schema}. ` +
        "Use another --store or remove that folder.",
    );
  }
}

/** Names this process as a pinner, so that its pins end with it: `pid:start time`. */
export function currentPinner(): string {
  return `${process.pid}:${startTimeOf(process.pid) ?? 0}`;
}

function pinnerLives(pinner: string): boolean {
  const [pid, start] = pinner.split(":");
  return String(startTimeOf(Number(pid)) ?? -1) === start;
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat). */
function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}
