// An LMDB index that several processes open, write and leave at any instant.
//
// LMDB as of this library's version lets a newcomer write down, as the number of the latest
// transaction, what it read a moment before (`mdb_env_open2`). If others commit in that moment,
// the next writer starts from a state that is overwritten already: what they wrote is lost, and
// then every write fails. So a newcomer opens, and everybody writes, only while holding the lock of
// a second, empty index beside it, in which nothing is ever committed and which is therefore always
// opened safely (docs/adr/0009-store.md).

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase, type RootDatabaseOptions } from "lmdb";

/** An open index. */
export interface GatedLmdb<T> {
  readonly root: RootDatabase;
  /** What `openTables` returned. */
  readonly tables: T;
  /** The only way to write: all of `work` or nothing, one process at a time. */
  transact<R>(work: () => R): R;
  close(): Promise<void>;
}

/** Opens or creates the index in `folder`; `openTables` may write, outside of `transact`. */
export function openGatedLmdb<T>(
  folder: string,
  options: RootDatabaseOptions,
  openTables: (root: RootDatabase) => T,
): GatedLmdb<T> {
  mkdirSync(folder, { recursive: true });
  const gate = open({ path: join(folder, "gate"), noSync: true });
  const { root, tables } = gate.transactionSync(() => {
    const opened = open({ path: folder, ...options });
    return { root: opened, tables: openTables(opened) };
  });
  return {
    root,
    tables,
    transact: (work) => gate.transactionSync(() => root.transactionSync(work)),
    close: async () => {
      await root.close();
      await gate.close();
    },
  };
}
