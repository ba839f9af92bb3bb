// Blobs as files: `<function>/<2 hex>/<hash>-<size>`, read-only, published by rename. One folder
// per host, used by all its nodes at once; a blob on this host never crosses a socket.

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { BlobRange, BlobStore, LocalFiles, Pins } from "./blob-store.ts";
import { currentPinner, type StoreIndex } from "./file-records.ts";
import { createHasher, digestOf, emptyDigest, isEmptyBlob } from "./hash.ts";
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
/** Blobs up to this size are read and written without leaving the event loop. */
const smallBytesMax = 128 * 1024;
/** Bound: files looked at before other work gets a turn. */
const statsAtOnce = 500;

/** The store of a host. Open it with `openStore`. */
export class DiskBlobStore implements BlobStore, LocalFiles, Pins {
  readonly #index: StoreIndex;
  readonly #now: () => number;
  readonly #options: DiskBlobStoreOptions;
  readonly #madeFolders = new Set<string>();
  #pinners = 0;

  constructor(
    deps: { readonly index: StoreIndex; readonly now: () => number },
    options: DiskBlobStoreOptions,
  ) {
    this.#index = deps.index;
    this.#now = deps.now;
    this.#options = options;
    fs.mkdirSync(join(options.folder, "tmp"), { recursive: true });
  }

  async missing(digests: readonly Digest[]): Promise<Digest[]> {
    const missing: Digest[] = [];
    const present: { key: string; size: number }[] = [];
    for (const [at, digest] of digests.entries()) {
      if (at % statsAtOnce === statsAtOnce - 1) await new Promise(setImmediate);
      if (isEmptyBlob(digest)) continue;
      if (this.#exists(digest)) present.push({ key: fileKey(digest), size: digest.sizeBytes });
      else missing.push(digest);
    }
    this.#index.use(present);
    return missing;
  }

  async *read(
    digest: Digest,
    range: BlobRange = { offset: 0, limit: 0 },
  ): AsyncGenerator<Uint8Array> {
    checkRange(digest, range.offset, range.limit);
    if (isEmptyBlob(digest)) return;
    const end = range.limit === 0 ? digest.sizeBytes : range.offset + range.limit;
    const file = await fs.promises.open(this.#path(digest)).catch(() => undefined);
    if (file === undefined) throw absent(digest);
    try {
      let at = range.offset;
      while (at < Math.min(end, digest.sizeBytes)) {
        const length = Math.min(chunkBytesMax, end - at, digest.sizeBytes - at);
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at);
        if (bytesRead === 0) throw this.#damaged(digest);
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  async get(digest: Digest, bytesMax: number): Promise<Uint8Array> {
    checkBounded(digest, bytesMax);
    if (isEmptyBlob(digest)) return new Uint8Array();
    const bytes = await this.#readWhole(digest).catch((error: unknown) => {
      if (isErrno(error, "ENOENT")) throw absent(digest);
      throw error;
    });
    if (bytes.length !== digest.sizeBytes) throw this.#damaged(digest);
    return bytes;
  }

  async write(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (isEmptyBlob(digest) || (await this.missing([digest])).length === 0) return;
    await this.#makeRoom(digest.sizeBytes);
    const tmp = this.#tmpPath();
    try {
      await fs.promises.writeFile(tmp, verified(digest, chunks), { flag: "wx", mode: 0o444 });
      await this.#publish(tmp, digest);
    } catch (error) {
      fs.rmSync(tmp, { force: true });
      throw diskError(error);
    }
  }

  async put(bytes: Uint8Array, fn: DigestFunction): Promise<Digest> {
    const digest = await digestOf(bytes, fn);
    if (isEmptyBlob(digest) || (await this.missing([digest])).length === 0) return digest;
    await this.#makeRoom(digest.sizeBytes);
    const tmp = this.#tmpPath();
    try {
      if (bytes.length <= smallBytesMax) fs.writeFileSync(tmp, bytes, { flag: "wx", mode: 0o444 });
      else await fs.promises.writeFile(tmp, bytes, { flag: "wx", mode: 0o444 });
      await this.#publish(tmp, digest);
      return digest;
    } catch (error) {
      fs.rmSync(tmp, { force: true });
      throw diskError(error);
    }
  }

  async materialize(digest: Digest, path: string, file: { readonly executable: boolean }) {
    if (isEmptyBlob(digest)) {
      return fs.writeFileSync(path, "", { flag: "wx", mode: file.executable ? 0o555 : 0o444 });
    }
    if (this.#options.shareBy === "copy")
      return this.#copyOut(this.#path(digest), digest, path, file);
    const source = file.executable ? await this.#executableTwin(digest) : this.#path(digest);
    try {
      fs.linkSync(source, path);
    } catch (error) {
      if (isErrno(error, "ENOENT") && !this.#exists(digest)) throw absent(digest);
      // Too many links to one file, or another file system: a copy is as good.
      if (!isErrno(error, "EMLINK") && !isErrno(error, "EXDEV")) throw diskError(error);
      await this.#copyOut(source, digest, path, file);
    }
  }

  async adopt(path: string, fn: DigestFunction): Promise<Digest> {
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    let digest: Digest;
    let linked: boolean;
    try {
      const stat = fs.fstatSync(fd);
      if (!stat.isFile()) throw new MeshError("INVALID_ARGUMENT", `${path} is not a regular file.`);
      linked = stat.nlink > 1;
      digest = await hashFile(fd, stat.size, fn);
      if (isEmptyBlob(digest) || (await this.missing([digest])).length === 0) return digest;
      if (!linked) {
        // The file becomes the blob: from here on only the store's owner may touch it.
        if (process.getuid?.() === 0) fs.fchownSync(fd, 0, 0);
        fs.fchmodSync(fd, 0o444);
      }
    } finally {
      fs.closeSync(fd);
    }
    await this.#makeRoom(digest.sizeBytes);
    try {
      if (linked) throw Object.assign(new Error("has other names"), { code: "EXDEV" });
      await this.#publish(path, digest);
    } catch (error) {
      if (!isErrno(error, "EXDEV")) throw diskError(error);
      await this.write(digest, fs.createReadStream(path, { highWaterMark: chunkBytesMax }));
    }
    return digest;
  }

  async pin(digests: readonly Digest[]): Promise<{ release(): Promise<void> }> {
    this.#pinners += 1;
    const pinner = `${currentPinner()}:${this.#pinners}`;
    const keys = digests.filter((digest) => !isEmptyBlob(digest)).map(fileKey);
    await this.#index.pin(keys, pinner);
    return { release: () => this.#index.unpin(keys, pinner) };
  }

  async #readWhole(digest: Digest): Promise<Uint8Array> {
    const path = this.#path(digest);
    if (digest.sizeBytes > smallBytesMax) return fs.promises.readFile(path);
    return fs.readFileSync(path);
  }

  #exists(digest: Digest): boolean {
    const stat = fs.statSync(this.#path(digest), { throwIfNoEntry: false });
    return stat !== undefined && stat.size === digest.sizeBytes;
  }

  #path(digest: Digest): string {
    return join(this.#options.folder, "blobs", fileKey(digest));
  }

  #tmpPath(): string {
    return join(this.#options.folder, "tmp", randomUUID());
  }

  async #publish(from: string, digest: Digest, suffix = ""): Promise<void> {
    const to = this.#path(digest) + suffix;
    const folder = dirname(to);
    if (!this.#madeFolders.has(folder)) {
      fs.mkdirSync(folder, { recursive: true });
      this.#madeFolders.add(folder);
    }
    fs.renameSync(from, to);
    this.#index.use([{ key: fileKey(digest) + suffix, size: digest.sizeBytes }]);
  }

  /** A second file with the executable bit: the bit belongs to the file, not to the link. */
  async #executableTwin(digest: Digest): Promise<string> {
    const twin = `${this.#path(digest)}-x`;
    if (fs.existsSync(twin)) return twin;
    if (!this.#exists(digest)) throw absent(digest);
    await this.#makeRoom(digest.sizeBytes);
    const tmp = this.#tmpPath();
    await this.#copyOut(this.#path(digest), digest, tmp, { executable: true });
    await this.#publish(tmp, digest, "-x");
    return twin;
  }

  async #copyOut(
    source: string,
    digest: Digest,
    path: string,
    file: { readonly executable: boolean },
  ): Promise<void> {
    try {
      await fs.promises.copyFile(source, path, fs.constants.COPYFILE_FICLONE);
      await fs.promises.chmod(path, file.executable ? 0o555 : 0o444);
    } catch (error) {
      if (isErrno(error, "ENOENT") && !this.#exists(digest)) throw absent(digest);
      throw diskError(error);
    }
  }

  /** Evicts until `bytes` more fit. RESOURCE_EXHAUSTED where everything left is in use. */
  async #makeRoom(bytes: number): Promise<void> {
    const { bytesMax, protectMs } = this.#options;
    if (this.#index.totalBytes() + bytes <= bytesMax) return;
    const goal = Math.max(0, bytesMax * 0.9 - bytes);
    while (this.#index.totalBytes() > goal) {
      const oldest = this.#index.oldest(this.#now() - protectMs, 1000);
      if (oldest.length === 0) break;
      const victims: string[] = [];
      let over = this.#index.totalBytes() - goal;
      for (const { key, size } of oldest) {
        if (over <= 0) break;
        over -= size;
        victims.push(key);
      }
      for (const key of victims) {
        fs.rmSync(join(this.#options.folder, "blobs", key), { force: true });
      }
      await this.#index.forget(victims);
    }
    if (this.#index.totalBytes() + bytes <= bytesMax) return;
    throw new MeshError(
      "RESOURCE_EXHAUSTED",
      `The store is full: ${this.#index.totalBytes()} of ${bytesMax} bytes are in use by recent ` +
        "work. Raise --store-max or wait.",
    );
  }

  #damaged(digest: Digest): MeshError {
    fs.rmSync(this.#path(digest), { force: true });
    return absent(digest);
  }
}

function fileKey(digest: Digest): string {
  return `${digest.fn}/${digest.hash.slice(0, 2)}/${digest.hash}-${digest.sizeBytes}`;
}

const readChunk = promisify(fs.read);

/** Hashes an open file; a small one without leaving the event loop, which costs more than reading. */
async function hashFile(fd: number, size: number, fn: DigestFunction): Promise<Digest> {
  if (size === 0) return emptyDigest(fn);
  if (size <= smallBytesMax) return digestOf(fs.readFileSync(fd), fn);
  const hasher = await createHasher(fn, size);
  const buffer = Buffer.allocUnsafe(chunkBytesMax);
  let sizeBytes = 0;
  for (;;) {
    const { bytesRead } = await readChunk(fd, buffer, 0, buffer.length, sizeBytes);
    if (bytesRead === 0) return { fn, hash: hasher.hex(), sizeBytes };
    hasher.update(buffer.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function diskError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const failure = failureOf(error);
  return new MeshError(failure.code, failure.message, { cause: error });
}
