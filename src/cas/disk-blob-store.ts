// Blobs on this host's disk, used by all its nodes at once: small ones in the index, the others as
// read-only files `<function>/<2 hex>/<hash>-<size>`. A blob on this host never crosses a socket.

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { BlobRange, BlobStore, HashLookup, Holds, LocalFiles } from "./blob-store.ts";
import { createConfirmed } from "./confirmed.ts";
import {
  copyFileOut,
  diskError,
  hashFile,
  isErrno,
  linkFileOut,
  readChunks,
} from "./disk-files.ts";
import { digestOf, isEmptyBlob } from "./hash.ts";
import type { FileKey, StoreIndex } from "./store-records.ts";
import { absent, checkBounded, checkRange, verified } from "./verify.ts";

/** How a disk store behaves. */
export interface DiskBlobStoreOptions {
  readonly folder: string;
  /** Bytes on disk before the least recently used go. */
  readonly bytesMax: number;
  /** Blobs used within this time are never evicted, in ms. */
  readonly protectMs: number;
  /**
   * `link` where the sandbox runs as another user than the store's owner and so cannot alter a
   * linked file; `copy` (a reflink where the file system has them) where it runs as the same user.
   */
  readonly shareBy: "link" | "copy";
}

const chunkBytesMax = 1 << 20;
/** Blobs up to this size live in the index: a file costs more than a row, and a whole page. */
const rowBytesMax = 4000;
/** Blobs up to this size are read and written without leaving the event loop. */
const smallBytesMax = 128 * 1024;
/** Bound: digests looked at before other work gets a turn. */
const looksAtOnce = 2000;

interface Keyed {
  readonly digest: Digest;
  readonly key: FileKey;
}

/** The store of a host. Open it with `openStore`. */
export class DiskBlobStore implements BlobStore, LocalFiles, Holds, HashLookup {
  readonly #index: StoreIndex;
  readonly #now: () => number;
  readonly #options: DiskBlobStoreOptions;
  readonly #confirmed;
  readonly #madeFolders = new Set<string>();
  /** The folder of the files, with a slash: `join` would look at every letter for each. */
  readonly #blobs: string;

  constructor(
    deps: { readonly index: StoreIndex; readonly now: () => number },
    options: DiskBlobStoreOptions,
  ) {
    this.#index = deps.index;
    this.#now = deps.now;
    this.#options = options;
    this.#blobs = join(options.folder, "blobs", "/");
    this.#confirmed = createConfirmed(deps.now);
    fs.mkdirSync(join(options.folder, "tmp"), { recursive: true });
  }

  async missing(digests: readonly Digest[]): Promise<Digest[]> {
    const missing: Digest[] = [];
    for (let at = 0; at < digests.length; at += looksAtOnce) {
      if (at > 0) await new Promise(setImmediate);
      missing.push(...this.#missingNow(digests.slice(at, at + looksAtOnce)));
    }
    return missing;
  }

  async *read(
    digest: Digest,
    range: BlobRange = { offset: 0, limit: 0 },
  ): AsyncGenerator<Uint8Array> {
    checkRange(digest, range.offset, range.limit);
    if (isEmptyBlob(digest)) return;
    const limit = range.limit === 0 ? digest.sizeBytes : range.limit;
    const end = Math.min(digest.sizeBytes, range.offset + limit);
    if (digest.sizeBytes <= smallBytesMax) {
      const bytes = this.#readNow(digest).subarray(range.offset, end);
      if (bytes.length > 0) yield bytes;
      return;
    }
    const file = await fs.promises.open(this.#path(digest)).catch(() => undefined);
    if (file === undefined) throw this.#gone(digest);
    try {
      let at = range.offset;
      for await (const chunk of readChunks(file, at, end, chunkBytesMax)) {
        yield chunk;
        at += chunk.length;
      }
      if (at < end) throw this.#damaged(digest);
    } finally {
      await file.close();
    }
  }

  async get(digest: Digest, bytesMax: number): Promise<Uint8Array> {
    checkBounded(digest, bytesMax);
    if (isEmptyBlob(digest)) return new Uint8Array();
    if (digest.sizeBytes <= smallBytesMax) return this.#readNow(digest);
    const bytes = await fs.promises.readFile(this.#path(digest)).catch((error: unknown) => {
      if (isErrno(error, "ENOENT")) throw this.#gone(digest);
      throw diskError(error);
    });
    if (bytes.length !== digest.sizeBytes) throw this.#damaged(digest);
    return bytes;
  }

  async write(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (isEmptyBlob(digest) || this.#missingNow([digest]).length === 0) return;
    this.#makeRoom(digest.sizeBytes);
    const checked = verified(digest, chunks);
    if (digest.sizeBytes <= rowBytesMax) {
      const parts: Uint8Array[] = [];
      for await (const part of checked) parts.push(part);
      await this.#keepRow(digest, parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts));
      return;
    }
    await this.#keepFile(digest, (tmp) =>
      fs.promises.writeFile(tmp, checked, { flag: "wx", mode: 0o444 }),
    );
  }

  async put(bytes: Uint8Array, fn: DigestFunction): Promise<Digest> {
    const digest = await digestOf(bytes, fn);
    if (isEmptyBlob(digest) || this.#missingNow([digest]).length === 0) return digest;
    this.#makeRoom(digest.sizeBytes);
    if (bytes.length <= rowBytesMax) await this.#keepRow(digest, bytes);
    else {
      await this.#keepFile(digest, async (tmp) => {
        const how = { flag: "wx", mode: 0o444 };
        if (bytes.length <= smallBytesMax) fs.writeFileSync(tmp, bytes, how);
        else await fs.promises.writeFile(tmp, bytes, how);
      });
    }
    return digest;
  }

  materialize(digest: Digest, path: string, { executable }: { readonly executable: boolean }) {
    const [mode, isRow] = [executable ? 0o555 : 0o444, digest.sizeBytes <= rowBytesMax];
    if (isEmptyBlob(digest)) fs.writeFileSync(path, "", { flag: "wx", mode });
    else if (this.#options.shareBy === "copy") {
      if (!isRow) return this.#copyOut(digest, path, mode);
      fs.writeFileSync(path, this.#readNow(digest), { flag: "wx", mode });
    } else if (isRow || executable) {
      return this.#twin(digest, mode).then((twin) => this.#link(digest, twin, path, mode));
    } else return this.#link(digest, this.#path(digest), path, mode);
    return undefined;
  }

  async adopt(path: string, fn: DigestFunction): Promise<Digest> {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    let digest: Digest;
    let linked: boolean;
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile()) throw new MeshError("INVALID_ARGUMENT", `${path} is not a regular file.`);
      if (stat.size <= rowBytesMax) return await this.put(fs.readFileSync(fd), fn);
      linked = stat.nlink > 1;
      digest = await hashFile(fd, stat.size, fn);
      if (this.#missingNow([digest]).length === 0) return digest;
      if (!linked) {
        // The file becomes the blob: from here on only the store's owner may touch it.
        if (process.getuid?.() === 0) fs.fchownSync(fd, 0, 0);
        fs.fchmodSync(fd, 0o444);
      }
    } finally {
      fs.closeSync(fd);
    }
    this.#makeRoom(digest.sizeBytes);
    try {
      if (linked) throw Object.assign(new Error("has other names"), { code: "EXDEV" });
      this.#publish(path, this.#key(digest), digest.sizeBytes);
      this.#confirmed.add(digest);
    } catch (error) {
      if (!isErrno(error, "EXDEV")) throw diskError(error);
      await this.write(digest, fs.createReadStream(path, { highWaterMark: chunkBytesMax }));
    }
    return digest;
  }

  hold(sinceMs: number): { release(): void } {
    return this.#index.hold(sinceMs);
  }

  async findByHash(fn: DigestFunction, hash: string): Promise<Digest | undefined> {
    const prefix = `${fn}/${hash.slice(0, 2)}/${hash}-`;
    // The blob and its twins; no two sizes have one hash.
    for (const key of this.#index.findByPrefix(prefix, 4)) {
      const digest = { fn, hash, sizeBytes: Number.parseInt(key.slice(prefix.length), 10) };
      if (this.#missingNow([digest]).length === 0) return digest;
    }
    return undefined;
  }

  /** Removes a blob, in use or not: for damaged ones. */
  remove(digest: Digest): void {
    this.#confirmed.delete(digest);
    for (const suffix of ["", "-f", "-x"]) {
      const key = this.#key(digest) + suffix;
      this.#index.remove(key, (gone) => this.#unlink(gone));
    }
  }

  /** Lets the least recently used go until `bytes` are stored at most; returns the bytes freed. */
  shrink(bytes: number, beforeMs: number): number {
    let freed = 0;
    for (;;) {
      const excess = this.#index.totalBytes() - bytes;
      const more =
        excess <= 0 ? 0 : this.#index.evict(beforeMs, excess, (key) => this.#unlink(key));
      if (more === 0) return freed;
      freed += more;
    }
  }

  /** Counts a file that has no row, such as one whose writer was killed; false if it is gone. */
  count(key: FileKey, size: number): boolean {
    const isThere = () => fs.existsSync(join(this.#options.folder, "blobs", key));
    return this.#index.claim([{ key, size }], isThere).size === 0;
  }

  #missingNow(digests: readonly Digest[]): Digest[] {
    const missing: Digest[] = [];
    const present: Keyed[] = [];
    const doubtful: Keyed[] = [];
    this.#confirmed.tick();
    // What is that old may be on its way out in another process, and is claimed first.
    const youngMinute = (this.#now() - this.#options.protectMs) / 60_000 + 1;
    let refreshed = false;
    for (const digest of digests) {
      if (isEmptyBlob(digest) || this.#confirmed.has(digest)) continue;
      const key = this.#key(digest);
      let entry = this.#index.find(key);
      if (entry === undefined && !refreshed) {
        this.#index.refresh();
        refreshed = true;
        entry = this.#index.find(key);
      }
      if (entry !== undefined && entry.used > youngMinute) present.push({ digest, key });
      else if (entry === undefined && !this.#hasFile(digest)) missing.push(digest);
      else doubtful.push({ digest, key });
    }
    if (doubtful.length > 0) missing.push(...this.#claim(doubtful, present));
    this.#index.touch(present.map(({ key }) => key));
    for (const { digest } of present) this.#confirmed.add(digest);
    return missing;
  }

  #claim(doubtful: readonly Keyed[], present: Keyed[]): Digest[] {
    const digestByKey = new Map(doubtful.map(({ key, digest }) => [key, digest]));
    const wanted = doubtful.map(({ key, digest }) => ({ key, size: digest.sizeBytes }));
    const gone = this.#index.claim(wanted, (key) => {
      const digest = digestByKey.get(key);
      return digest !== undefined && this.#hasFile(digest);
    });
    for (const known of doubtful) if (!gone.has(known.key)) present.push(known);
    return doubtful.filter(({ key }) => gone.has(key)).map(({ digest }) => digest);
  }

  #hasFile(digest: Digest): boolean {
    if (digest.sizeBytes <= rowBytesMax) return false;
    const stat = fs.statSync(this.#path(digest), { throwIfNoEntry: false });
    return stat !== undefined && stat.size === digest.sizeBytes;
  }

  /** The bytes of a small blob, at once. */
  #readNow(digest: Digest): Uint8Array {
    let bytes: Uint8Array | undefined;
    if (digest.sizeBytes > rowBytesMax) {
      try {
        bytes = fs.readFileSync(this.#path(digest));
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw diskError(error);
      }
    } else {
      const key = this.#key(digest);
      bytes = this.#index.getSmall(key);
      if (bytes === undefined) {
        this.#index.refresh();
        bytes = this.#index.getSmall(key);
      }
    }
    if (bytes === undefined) throw this.#gone(digest);
    if (bytes.length !== digest.sizeBytes) throw this.#damaged(digest);
    return bytes;
  }

  async #keepRow(digest: Digest, bytes: Uint8Array): Promise<void> {
    await this.#index.putSmall(this.#key(digest), bytes);
    this.#confirmed.add(digest);
  }

  async #keepFile(digest: Digest, fill: (tmp: string) => Promise<void>): Promise<void> {
    const tmp = join(this.#options.folder, "tmp", `${process.pid}.${randomUUID()}`);
    try {
      await fill(tmp);
      this.#publish(tmp, this.#key(digest), digest.sizeBytes);
      this.#confirmed.add(digest);
    } catch (error) {
      fs.rmSync(tmp, { force: true });
      throw diskError(error);
    }
  }

  #publish(from: string, key: FileKey, size: number): void {
    const to = join(this.#options.folder, "blobs", key);
    const folder = dirname(to);
    if (!this.#madeFolders.has(folder)) {
      fs.mkdirSync(folder, { recursive: true });
      this.#madeFolders.add(folder);
    }
    this.#index.record(key, size, () => fs.renameSync(from, to));
  }

  #link(digest: Digest, source: string, path: string, mode: number): Promise<void> | undefined {
    try {
      return linkFileOut(source, path, mode);
    } catch (error) {
      if (isErrno(error, "ENOENT") && !fs.existsSync(source)) throw this.#gone(digest);
      throw diskError(error);
    }
  }

  /** A file to link: of a blob that lives in the index, or with the executable bit. */
  async #twin(digest: Digest, mode: number): Promise<string> {
    const key = this.#key(digest) + (mode === 0o555 ? "-x" : "-f");
    const path = join(this.#options.folder, "blobs", key);
    if (fs.existsSync(path)) {
      this.#index.touch([key]);
      return path;
    }
    this.#makeRoom(digest.sizeBytes);
    const tmp = join(this.#options.folder, "tmp", `${process.pid}.${randomUUID()}`);
    if (digest.sizeBytes > rowBytesMax) await this.#copyOut(digest, tmp, mode);
    else fs.writeFileSync(tmp, this.#readNow(digest), { flag: "wx", mode });
    this.#publish(tmp, key, digest.sizeBytes);
    return path;
  }

  async #copyOut(digest: Digest, path: string, mode: number): Promise<void> {
    try {
      await copyFileOut(this.#path(digest), path, mode);
    } catch (error) {
      if (isErrno(error, "ENOENT") && !this.#hasFile(digest)) throw this.#gone(digest);
      throw diskError(error);
    }
  }

  /** Evicts until `bytes` more fit. RESOURCE_EXHAUSTED where everything left is in use. */
  #makeRoom(bytes: number): void {
    const { bytesMax, protectMs } = this.#options;
    if (this.#index.totalBytes() + bytes <= bytesMax) return;
    // Some more than needed, so that not every write has to.
    const wanted = Math.max(0, bytesMax - bytes - Math.floor(bytesMax / 100));
    this.shrink(wanted, this.#now() - protectMs);
    if (this.#index.totalBytes() + bytes <= bytesMax) return;
    throw new MeshError(
      "RESOURCE_EXHAUSTED",
      `The store holds ${this.#index.totalBytes()} of ${bytesMax} bytes and all of it is in use. ` +
        "Raise --store-max.",
    );
  }

  /** A file that is not what its name says goes, so that the blob is missing and comes anew. */
  #damaged(digest: Digest): MeshError {
    this.remove(digest);
    return absent(digest);
  }

  /** A file that went unknown to the store, as by hand, is missing from here on. */
  #gone(digest: Digest): MeshError {
    this.#confirmed.delete(digest);
    this.#index.forget(this.#key(digest), () => this.#hasFile(digest));
    return absent(digest);
  }

  #unlink(key: FileKey): void {
    fs.rmSync(join(this.#options.folder, "blobs", key), { force: true });
  }

  #key({ fn, hash, sizeBytes }: Digest): FileKey {
    return `${fn}/${hash.slice(0, 2)}/${hash}-${sizeBytes}`;
  }

  #path(digest: Digest): string {
    return `${this.#blobs}${this.#key(digest)}`;
  }
}
