// File work of the disk store: reading in chunks, hashing, copying, errors as people understand
// them.

import * as fs from "node:fs";
import { promisify } from "node:util";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { createHasher } from "./hash.ts";

const readAt = promisify(fs.read);
const hashBytesAtOnce = 1 << 20;

/** The bytes of an open file from `start` to `end`; fewer where the file is shorter. */
export async function* readChunks(
  file: fs.promises.FileHandle,
  start: number,
  end: number,
  chunkBytesMax: number,
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; ) {
    const length = Math.min(chunkBytesMax, end - at);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** Names the content of an open file of `size` bytes. */
export async function hashFile(fd: number, size: number, fn: DigestFunction): Promise<Digest> {
  const hasher = await createHasher(fn, size);
  const buffer = Buffer.allocUnsafeSlow(Math.min(hashBytesAtOnce, Math.max(1, size)));
  let sizeBytes = 0;
  for (;;) {
    const { bytesRead } = await readAt(fd, buffer, 0, buffer.length, sizeBytes);
    if (bytesRead === 0) return { fn, hash: hasher.hex(), sizeBytes };
    hasher.update(buffer.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
}

/** Bound: a file of so many bytes is copied in less time than another thread takes to begin. */
const copiedAtOnceMax = 256 << 10;

/** Copies a file, as a reflink where the file system has them. */
export async function copyFileOut(from: string, to: string, mode: number): Promise<void> {
  if (fs.statSync(from).size <= copiedAtOnceMax) {
    fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
    return fs.chmodSync(to, mode);
  }
  await fs.promises.copyFile(from, to, fs.constants.COPYFILE_FICLONE);
  await fs.promises.chmod(to, mode);
}

/** Links a file, at once; where there can be no more links to it, or none here, it is copied. */
export function linkFileOut(from: string, to: string, mode: number): Promise<void> | undefined {
  try {
    fs.linkSync(from, to);
    return undefined;
  } catch (error) {
    if (!isErrno(error, "EMLINK") && !isErrno(error, "EXDEV")) throw error;
    return copyFileOut(from, to, mode);
  }
}

/** True for an error of the file system with this code. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** The store's disk took no more, or fails. */
export function diskFull(cause: unknown): MeshError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new MeshError(
    "RESOURCE_EXHAUSTED",
    `The disk of the store is full or failing (${message}). Free space or lower --store-max.`,
    { cause },
  );
}

/** Any error of the file system with its remedy. */
export function diskError(error: unknown): MeshError {
  if (error instanceof MeshError) return error;
  const failure = failureOf(error);
  return new MeshError(failure.code, failure.message, { cause: error });
}
