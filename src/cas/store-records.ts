// The index of a store: which blobs there are, how large, when last used; small blobs themselves;
// action results. LMDB, because several processes of one host share it without a server and a kill
// at any instant leaves the last committed state (docs/adr/0009-store.md).
//
// A row means that its blob is there: a row comes after its file, in one transaction, and is marked
// as leaving in a transaction of its own before the file goes. A file without a row (its writer was
// killed in between) counts once it is met.

import type { Database, RootDatabase } from "lmdb";
import { failureOf, MeshError } from "../core/error.ts";
import { createBatch, slicesOf } from "./batches.ts";
import { diskFull } from "./disk-files.ts";
import { openGatedLmdb } from "./gated-lmdb.ts";
import { currentHolder, holderLives } from "./holder.ts";
import { type Room, rowsAlwaysRemovable } from "./lmdb-room.ts";

/** One stored blob or file: `<function>/<2 hex>/<hash>-<size>`, with a suffix for twins. */
export type FileKey = string;

/** Results have rows among the files too, so that they are counted and go when nobody uses them. */
const resultPrefix = "=";

/** What is known of it. */
export interface FileEntry {
  /** Bytes. */
  readonly size: number;
  /** Minutes since 1970 of the last use; coarse, so that repeated uses write nothing. */
  readonly used: number;
  /** True once its file is about to go: as good as gone, and finished by the next who evicts. */
  readonly leaving?: true;
}

/** A result as stored. */
export interface StoredResult {
  readonly bytes: Uint8Array;
  readonly storedAtMs: number;
}

/** The index of one store folder. All methods are safe to call from several processes at once. */
export interface StoreIndex {
  find(key: FileKey): FileEntry | undefined;
  /** Keys that begin with `prefix`, at most `limit`. */
  findByPrefix(prefix: string, limit: number): FileKey[];
  /** Looks again at what other processes have written since this event turn began. */
  refresh(): void;
  /** Notes uses of known files, in the background: nobody waits for bookkeeping. */
  touch(keys: readonly FileKey[]): void;
  /**
   * Marks as used now what is there, before anybody can evict it, and returns what is not. A file
   * without a row counts as there if `hasFile`.
   */
  claim(
    files: readonly { readonly key: FileKey; readonly size: number }[],
    hasFile: (key: FileKey) => boolean,
  ): Set<FileKey>;
  /** Publishes a file and records it, in one transaction. */
  record(key: FileKey, size: number, publish: () => void): void;
  /** Stores small blobs; resolves when every process can read them. */
  putSmall(key: FileKey, bytes: Uint8Array): Promise<void>;
  getSmall(key: FileKey): Uint8Array | undefined;
  /**
   * Lets the least recently used go, not used since `beforeMs` and not held, until `bytes` are
   * freed or nothing more may go. Returns the bytes freed. `unlink` removes a file.
   */
  evict(beforeMs: number, bytes: number, unlink: (key: FileKey) => void): number;
  /** Removes one, used or not. */
  remove(key: FileKey, unlink: (key: FileKey) => void): void;
  /** Drops the row of a file that is not there: `hasFile` is asked while nobody can publish it. */
  forget(key: FileKey, hasFile: () => boolean): void;
  /** Everything stored, twins included. */
  entries(): Iterable<readonly [FileKey, FileEntry]>;
  totalBytes(): number;
  /** Nothing used since `sinceMs` is evicted until `release`, or until this process dies. */
  hold(sinceMs: number): { release(): void };
  getResult(key: string): StoredResult | undefined;
  putResult(key: string, result: StoredResult): Promise<void>;
  removeResult(key: string): Promise<void>;
  results(): Iterable<readonly [string, StoredResult]>;
  close(): Promise<void>;
}

const schema = 2;
const minuteMs = 60_000;
/** Uses are written at the latest after this time, in ms. */
const touchMs = 20;
/** Bound: uses or small blobs that wait to be written. */
const waitingMax = 4096;
/** Bound: rows that one transaction writes or evicts; others wait, and room is kept for it. */
const rowsAtOnce = 512;
const batches = { waitingMax, atOnce: rowsAtOnce };

interface Small {
  readonly key: FileKey;
  readonly bytes: Uint8Array;
}

interface Tables {
  readonly files: Database<FileEntry, string>;
  /** Files by last use. */
  readonly uses: Database<boolean, [number, string]>;
  readonly small: Database<Uint8Array, string>;
  readonly totals: Database<number, string>;
  /** Since when what was used is held, by holder. */
  readonly holds: Database<number, string>;
  readonly results: Database<StoredResult, string>;
}

/** Opens or creates the index in `folder`. FAILED_PRECONDITION for another version's index. */
export function openStoreIndex(folder: string, deps: { readonly now: () => number }): StoreIndex {
  const index = openGatedLmdb(folder, { maxDbs: 10, noSync: true }, (root): Tables => {
    checkSchema(root, folder);
    return {
      files: root.openDB({ name: "files" }),
      uses: root.openDB({ name: "uses" }),
      small: root.openDB({ name: "small", encoding: "binary" }),
      totals: root.openDB({ name: "totals" }),
      holds: root.openDB({ name: "holds" }),
      results: root.openDB({ name: "results" }),
    };
  });
  const { files, uses, small, totals, holds, results } = index.tables;
  const minute = () => Math.floor(deps.now() / minuteMs);
  let holders = 0;

  function transact<T>(room: Room, work: () => T): T {
    return guarded(() => index.transact(room, work));
  }

  /** The total is of what is there. What leaves is no longer counted: a kill then loses nothing. */
  function grow(bytes: number): void {
    totals.putSync("bytes", Math.max(0, (totals.get("bytes") ?? 0) + bytes));
  }

  function add(key: FileKey, size: number): void {
    const known = files.get(key);
    if (known === undefined || known.leaving === true) grow(size);
    if (known !== undefined) uses.removeSync([known.used, key]);
    const used = minute();
    files.putSync(key, { size, used });
    uses.putSync([used, key], true);
  }

  /** Removes the row and what is counted of it, not what it stands for. */
  function forget(key: FileKey): void {
    const known = files.get(key);
    if (known === undefined) return;
    if (known.leaving !== true) grow(-known.size);
    uses.removeSync([known.used, key]);
    files.removeSync(key);
  }

  function drop(key: FileKey): void {
    forget(key);
    if (key.startsWith(resultPrefix)) results.removeSync(key.slice(resultPrefix.length));
    else small.removeSync(key);
  }

  /** Rows go at once; of the others, nobody may believe in the file from here on. */
  function leave(key: FileKey): void {
    const known = files.get(key);
    if (known === undefined || known.leaving === true) return;
    if (key.startsWith(resultPrefix) || small.doesExist(key)) drop(key);
    else {
      grow(-known.size);
      files.putSync(key, { ...known, leaving: true });
    }
  }

  /** Removes files whose leaving is committed, unless they have come again since. */
  function finishLeaving(keys: readonly FileKey[], unlink: (key: FileKey) => void): void {
    transact({ rows: keys.length, frees: true }, () => {
      for (const key of keys) {
        if (files.get(key)?.leaving !== true) continue;
        unlink(key);
        drop(key);
      }
    });
  }

  const touches = createBatch<FileKey>({ ...batches, delayMs: touchMs }, (keys) => {
    transact({ rows: keys.length }, () => {
      for (const key of keys) {
        const known = files.get(key);
        const isOld = known !== undefined && known.used !== minute();
        if (isOld && known.leaving !== true) add(key, known.size);
      }
    });
  });
  /** Nobody waits for these; the next use writes what a failure left out. */
  const touch = (keys: readonly FileKey[]): void => void touches.push(keys);
  const puts = createBatch<Small>({ ...batches, delayMs: 0 }, (batch) => {
    const bytes = batch.reduce((sum, { bytes: { length } }) => sum + length, 0);
    transact({ rows: batch.length, bytes }, () => {
      for (const { key, bytes } of batch) {
        small.putSync(key, bytes);
        add(key, bytes.length);
      }
    });
  });

  function evictSome(
    rows: number,
    beforeMs: number,
    bytes: number,
    unlink: (key: FileKey) => void,
  ): number {
    let freed = 0;
    const gone = transact({ rows, frees: true }, () => {
      const before = Math.min(Math.floor(beforeMs / minuteMs), heldSinceMinute());
      const keys: FileKey[] = [];
      for (const { key } of uses.getRange({ end: [before], limit: rows })) {
        if (freed >= bytes) break;
        freed += files.get(key[1])?.size ?? 0;
        keys.push(key[1]);
      }
      for (const key of keys) leave(key);
      return keys;
    });
    finishLeaving(gone, unlink);
    return freed;
  }

  /** Holders that died let go. */
  function heldSinceMinute(): number {
    let since = Number.POSITIVE_INFINITY;
    for (const { key, value } of holds.getRange()) {
      if (holderLives(key)) since = Math.min(since, value);
      else holds.removeSync(key);
    }
    return since;
  }

  return {
    find: (key) => {
      const entry = files.get(key);
      return entry?.leaving === true ? undefined : entry;
    },
    findByPrefix: (prefix, limit) => {
      const range = { start: prefix, end: `${prefix}\uffff`, limit };
      const found = [...files.getRange(range)].filter(({ value }) => value.leaving !== true);
      return found.map(({ key }) => key);
    },
    refresh: () => index.root.resetReadTxn(),
    touch,
    claim: (wanted, hasFile) => {
      const missing = new Set<FileKey>();
      for (const slice of slicesOf(wanted, rowsAtOnce)) {
        transact({ rows: slice.length }, () => {
          for (const { key, size } of slice) {
            const known = files.get(key);
            const isThere = known === undefined ? hasFile(key) : known.leaving !== true;
            if (isThere) add(key, size);
            else missing.add(key);
          }
        });
      }
      return missing;
    },
    record: (key, size, publish) => {
      transact({ rows: 1 }, () => {
        publish();
        add(key, size);
      });
    },
    putSmall: (key, bytes) => puts.push([{ key, bytes }]),
    getSmall: (key) => small.get(key),
    evict: (beforeMs, bytes, unlink) => {
      try {
        return evictSome(rowsAtOnce, beforeMs, bytes, unlink);
      } catch (error) {
        if (failureOf(error).code !== "RESOURCE_EXHAUSTED") throw error;
        return evictSome(rowsAlwaysRemovable, beforeMs, bytes, unlink);
      }
    },
    remove: (key, unlink) => {
      transact({ rows: 1, frees: true }, () => leave(key));
      finishLeaving([key], unlink);
    },
    forget: (key, hasFile) => {
      transact({ rows: 1, frees: true }, () => {
        const known = files.get(key);
        const isFile = known !== undefined && known.leaving !== true && !small.doesExist(key);
        if (isFile && !hasFile()) drop(key);
      });
    },
    entries: function* () {
      for (const { key, value } of files.getRange({ snapshot: false })) {
        const isFile = value.leaving !== true && !key.startsWith(resultPrefix);
        if (isFile) yield [key, value] as const;
      }
    },
    totalBytes: () => totals.get("bytes") ?? 0,
    hold: (sinceMs) => {
      holders += 1;
      const holder = currentHolder(holders);
      transact({ rows: 1 }, () => holds.putSync(holder, Math.floor(sinceMs / minuteMs)));
      const release = () => void transact({ rows: 1, frees: true }, () => holds.removeSync(holder));
      return { release };
    },
    getResult: (key) => {
      const found = results.get(key);
      const row = resultPrefix + key;
      const isOld = found !== undefined && files.get(row)?.used !== minute();
      if (isOld) touch([row]);
      return found;
    },
    putResult: async (key, result) => {
      transact({ rows: 1, bytes: result.bytes.length }, () => {
        results.putSync(key, result);
        // A newer result may have another size.
        if (files.get(resultPrefix + key)?.size !== result.bytes.length) {
          forget(resultPrefix + key);
        }
        add(resultPrefix + key, result.bytes.length);
      });
    },
    removeResult: async (key) => {
      transact({ rows: 1, frees: true }, () => drop(resultPrefix + key));
    },
    results: function* () {
      for (const { key, value } of results.getRange({ snapshot: false }))
        yield [key, value] as const;
    },
    close: async () => {
      touches.close();
      puts.close();
      await index.close();
    },
  };
}

const isTheDisks = /No space left|MDB_MAP_FULL|MDB_PROBLEM|Disk quota|Input\/output error/;

/**
 * LMDB's own words for a full disk are not Node's: a page that was written in part only is an
 * input/output error to it.
 */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!isTheDisks.test(String(cause))) throw cause;
    throw diskFull(cause);
  }
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
