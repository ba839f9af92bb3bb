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
import { createRoomKeeper, type Room, rowsAlwaysRemovable } from "./lmdb-room.ts";

/** An open index. */
export interface GatedLmdb<T> {
  readonly root: RootDatabase;
  /** What `openTables` returned. */
  readonly tables: T;
  /**
   * The only way to write: all of `work` or nothing, one process at a time. RESOURCE_EXHAUSTED,
   * and nothing done, where the disk does not have `room`.
   */
  transact<R>(room: Room, work: () => R): R;
  close(): Promise<void>;
}

/** Rows that name the tables, and what `openTables` may write; also where the disk is full. */
const tablesRoom: Room = { rows: rowsAlwaysRemovable, frees: true };

/** Opens or creates the index in `folder`; `openTables` may write a row, outside of `transact`. */
export function openGatedLmdb<T>(
  folder: string,
  options: RootDatabaseOptions,
  openTables: (root: RootDatabase) => T,
): GatedLmdb<T> {
  mkdirSync(folder, { recursive: true });
  const gate = open({ path: join(folder, "gate"), noSync: true });
  const { root, tables, room } = gate.transactionSync(() => {
    const opened = open({ path: folder, ...options });
    const keeper = createRoomKeeper(folder, opened);
    keeper.ensure(tablesRoom);
    return { root: opened, tables: openTables(opened), room: keeper };
  });
  return {
    root,
    tables,
    transact: (wanted, work) =>
      gate.transactionSync(() => {
        room.ensure(wanted);
        return root.transactionSync(work);
      }),
    close: async () => {
      room.close();
      await root.close();
      await gate.close();
    },
  };
}
