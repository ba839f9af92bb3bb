// What URIs stand for: associations of the Remote Asset API, kept across restarts, the least
// recently used let go. LMDB, in an environment of its own: unlike the store's index it holds what
// nobody can count again, so it is written safely, and rarely enough to afford that.
//
// An association is a hint about names, never a promise about bytes: whether its blobs are there is
// asked of the store each time it is served.

import { createHash } from "node:crypto";
import type { Database } from "lmdb";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { openGatedLmdb } from "./gated-lmdb.ts";

/** What an association answers to; every part must be equal. */
export interface AssetKey {
  readonly instance: string;
  readonly kind: "blob" | "directory";
  readonly fn: DigestFunction;
  readonly uri: string;
  /** In any order; names are unique. */
  readonly qualifiers: readonly { readonly name: string; readonly value: string }[];
}

/** What a URI stands for. */
export interface Association {
  /** The blob, or the root Directory. */
  readonly digest: Digest;
  /** Blobs that must be there as well for this to be of use. */
  readonly blobs: readonly Digest[];
  /** Root Directories likewise, with all that is below them. */
  readonly directories: readonly Digest[];
  /** When it was pushed, or when its retrieval from the origin began; Unix ms. */
  readonly storedAtMs: number;
  /** From here on it is not served, Unix ms; undefined for no such time. */
  readonly expireAtMs: number | undefined;
}

/** Associations by key. Safe to use from several processes at once. */
export interface AssetRecords {
  /** Undefined where there is none or it has expired. Extends its life. */
  find(key: AssetKey): Association | undefined;
  /** Stores one association under each key, over what was there; resolves when it is on disk. */
  put(keys: readonly AssetKey[], association: Association): Promise<void>;
  /** Associations held. */
  count(): number;
  close(): Promise<void>;
}

/** How much is kept. */
export interface AssetRecordsOptions {
  readonly folder: string;
  /** Associations before the least recently used go. */
  readonly recordsMax: number;
  /** Their bytes, likewise; references make some large. */
  readonly bytesMax: number;
}

/** What a node keeps unless told otherwise. */
export const assetRecordBounds = { recordsMax: 100_000, bytesMax: 256 << 20 };

interface Row extends Association {
  /** Minutes since 1970 of the last use. */
  readonly used: number;
  /** Bytes this row counts for. */
  readonly bytes: number;
}

interface Tables {
  readonly rows: Database<Row, string>;
  /** Rows by last use. */
  readonly uses: Database<boolean, [number, string]>;
  readonly totals: Database<number, string>;
}

const minuteMs = 60_000;
/** Uses are noted when the last note is this old, in minutes: reading should not mean writing. */
const usedAgainMinutes = 5;
/** Bound: associations that go with one put, besides as many as came. */
const goneAtOnce = 64;
/** Bytes of a row and of a digest in it, roughly; what is bounded is the disk's order of size. */
const [rowBytes, digestBytes] = [256, 128];

/** Opens or creates the associations in `folder`. */
export function openAssetRecords(
  deps: { readonly now: () => number },
  options: AssetRecordsOptions,
): AssetRecords {
  const index = openGatedLmdb(options.folder, { maxDbs: 4 }, (root): Tables => {
    return {
      rows: root.openDB({ name: "rows" }),
      uses: root.openDB({ name: "uses" }),
      totals: root.openDB({ name: "totals" }),
    };
  });
  const { rows, uses, totals } = index.tables;
  const minute = () => Math.floor(deps.now() / minuteMs);
  const total = (name: "rows" | "bytes") => totals.get(name) ?? 0;
  let closed = false;

  function count(rowsMore: number, bytesMore: number): void {
    totals.putSync("rows", total("rows") + rowsMore);
    totals.putSync("bytes", total("bytes") + bytesMore);
  }

  function drop(id: string): void {
    const row = rows.get(id);
    if (row === undefined) return;
    rows.removeSync(id);
    uses.removeSync([row.used, id]);
    count(-1, -row.bytes);
  }

  function keep(id: string, row: Row): void {
    drop(id);
    rows.putSync(id, row);
    uses.putSync([row.used, id], true);
    count(1, row.bytes);
  }

  /** What is then still too much goes with the next one that is stored. */
  function letGo(goneMax: number): void {
    for (let gone = 0; gone < goneMax; gone += 1) {
      if (total("rows") <= options.recordsMax && total("bytes") <= options.bytesMax) return;
      const [oldest] = uses.getKeys({ limit: 1 });
      if (oldest === undefined) return;
      drop(oldest[1]);
    }
  }

  function touch(id: string, row: Row): void {
    const used = minute();
    if (used - row.used < usedAgainMinutes) return;
    try {
      index.transact({ rows: 1, bytes: row.bytes }, () => {
        if (rows.get(id)?.used === row.used) keep(id, { ...row, used });
      });
    } catch {
      // Only the order of leaving depends on it.
    }
  }

  return {
    find: (key) => {
      if (closed) return undefined;
      const id = idOf(key);
      const row = rows.get(id);
      if (row === undefined || (row.expireAtMs ?? Number.POSITIVE_INFINITY) <= deps.now()) {
        return undefined;
      }
      touch(id, row);
      const { digest, blobs, directories, storedAtMs, expireAtMs } = row;
      return { digest, blobs, directories, storedAtMs, expireAtMs };
    },
    put: async (keys, association) => {
      if (closed) return;
      const references = association.blobs.length + association.directories.length;
      const bytes = rowBytes + digestBytes * references;
      const goneMax = keys.length + goneAtOnce;
      const room = { rows: keys.length + goneMax, bytes: keys.length * bytes };
      index.transact(room, () => {
        for (const key of keys) keep(idOf(key), { ...association, bytes, used: minute() });
        letGo(goneMax);
      });
      await index.root.flushed;
    },
    count: () => total("rows"),
    close: async () => {
      closed = true;
      await index.close();
    },
  };
}

/** A key of fixed length that tells nothing: qualifiers may hold what only their sender knows. */
function idOf({ instance, kind, fn, uri, qualifiers }: AssetKey): string {
  const pairs = qualifiers.map(({ name, value }) => [name, value]).sort(byName);
  const text = JSON.stringify([instance, kind, fn, uri, pairs]);
  return createHash("sha256").update(text).digest("base64url");
}

function byName([a = ""]: readonly string[], [b = ""]: readonly string[]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
