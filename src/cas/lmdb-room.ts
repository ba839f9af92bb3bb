// Pages of an LMDB file that are on disk before a transaction writes them.
//
// LMDB as of this library's version describes a failed write of a page in a buffer that is too
// small for the words (`mdb_page_flush`: `sprintf` into 100 bytes), so a full disk would end the
// process or damage its memory. No write may fail, then: the file is made longer, with zeros, ahead
// of what a transaction can need at most, and a disk that has no room for them is found out here.

import * as fs from "node:fs";
import { join } from "node:path";
import type { RootDatabase } from "lmdb";
import { diskFull } from "./disk-files.ts";

/** What a transaction may need at most. */
export interface Room {
  /** Rows written or removed, counting one for what belongs together in several tables. */
  readonly rows: number;
  /** Bytes of large values written; those below half a page count as rows. */
  readonly bytes?: number;
  /** True for what makes room: it may use what all others must leave free. */
  readonly frees?: boolean;
}

const pageBytes = 4096;
/** Pages that only one row leads to: a leaf and the branch above it, in each of three tables. */
const pagesPerRow = 6;
/** Pages that a new row may add, by splitting those that are full. */
const addedPerRow = 4;
/** Pages that all rows share, of counters, and of the list of free pages at its shortest. */
const pagesOfAll = 64;
/** Free pages that one page of their list names, at the least. */
const namedPerPage = 256;
/** The file grows by no less, so that it grows seldom. */
const growBytes = 256 * 1024;
/** Rows that can be removed however full the disk is. */
export const rowsAlwaysRemovable = 16;

/** Pages that `room` takes in a file of which `used` pages are in use. */
function pagesFor(room: Room, used: number): number {
  // Nothing is written in place: at worst each page on the way is written anew, once.
  const touched = Math.min(used, pagesPerRow * room.rows);
  const added = room.frees === true ? 0 : addedPerRow * room.rows;
  const values = Math.ceil((room.bytes ?? 0) / pageBytes);
  return touched + added + values + pagesOfAll + Math.ceil(used / namedPerPage);
}

/** Keeps room in the file of the index in `folder`. */
export function createRoomKeeper(folder: string, root: RootDatabase) {
  const fd = fs.openSync(join(folder, "data.mdb"), "r+");
  return {
    /**
     * Makes sure of `room` past the last page in use. Call it while nobody else can write.
     * RESOURCE_EXHAUSTED where the disk does not have it.
     */
    ensure(room: Room): void {
      // As declared, these are the figures of one table; the whole file's are among them.
      const { lastPageNumber } = root.getStats() as { lastPageNumber?: unknown };
      if (typeof lastPageNumber !== "number") throw new Error("LMDB does not tell its last page.");
      const used = lastPageNumber + 1;
      // Removing takes two transactions, before and after a file goes.
      const removal = pagesFor({ rows: rowsAlwaysRemovable, frees: true }, used);
      const spare = room.frees === true ? 0 : 2 * removal;
      grow(fd, (used + pagesFor(room, used) + spare) * pageBytes);
    },
    close: () => fs.closeSync(fd),
  };
}

/** Makes the file `size` bytes long or longer, with real blocks. */
function grow(fd: number, size: number): void {
  let at = fs.fstatSync(fd).size;
  if (at >= size) return;
  const zeros = Buffer.alloc(growBytes);
  try {
    while (at < size) at += fs.writeSync(fd, zeros, 0, zeros.length, at);
  } catch (cause) {
    if (fs.fstatSync(fd).size >= size) return;
    throw diskFull(cause);
  }
}
