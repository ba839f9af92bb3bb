// Log streams: bytes of unknown length that are read while they are written (REAPI, LogStream). The
// live output of running actions, and what clients write themselves.
//
// They live in memory and for a while only: the whole output of an action is a blob of its result.

import { randomUUID } from "node:crypto";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { IngressBounds } from "./bounds.ts";
import { checkInstance } from "./instance-name.ts";

/** One stream. */
export interface LogStream {
  /** For readers; may be shown to anybody. */
  readonly name: string;
  /** For the writer; whoever knows it may write. */
  readonly writeName: string;
  /** Bytes written so far. */
  readonly size: number;
  /** True once no more follow. */
  readonly finished: boolean;
  /**
   * Adds bytes at `offset`, which must be the end: OUT_OF_RANGE otherwise, FAILED_PRECONDITION once
   * it is closed.
   */
  append(offset: number, bytes: Uint8Array): void;
  /** Leaves a gap up to `offset`, if that is ahead. */
  skipTo(offset: number): void;
  /** No more bytes follow; readers come to their end. */
  close(): void;
  /**
   * The bytes from `offset` on, as they come, at most `limit` (0: all). What is no longer kept is
   * skipped: a reader that comes late sees the newest `logBytesMax` bytes.
   */
  read(offset: number, limit: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** The streams of one ingress. */
export interface LogStreams {
  /** A new stream below `parent`. RESOURCE_EXHAUSTED where too many are open. */
  create(parent: string): LogStream;
  /** By the name for readers; undefined where there is none. */
  find(name: string): LogStream | undefined;
  /** By the name for its writer. */
  findWritable(writeName: string): LogStream | undefined;
  /**
   * Makes `name` readable without holding anything yet: most actions end before anybody looks. Only
   * `writer` may add to it. Ends when it was retracted as often as announced.
   */
  announce(name: string, writer: PeerId): void;
  /** Adds to an announced stream, with a gap for what was lost. Others' bytes are ignored. */
  append(name: string, writer: PeerId, offset: number, bytes: Uint8Array): void;
  /** Readers come to their end; the name is soon forgotten. */
  retract(name: string): void;
}

/** What the streams are bounded by. */
export type LogBounds = Pick<IngressBounds, "logBytesMax" | "logsMax" | "retainMs">;

/** Creates the table. */
export function createLogStreams(bounds: LogBounds): LogStreams {
  const streamByName = new Map<string, LogStream>();
  const closed = new Set<LogStream>();
  const announcedByName = new Map<string, { readonly writer: PeerId; times: number }>();

  function forget(stream: LogStream): void {
    closed.delete(stream);
    streamByName.delete(stream.name);
  }

  function open(name: string): LogStream {
    const [oldest] = closed;
    if (streamByName.size >= bounds.logsMax && oldest !== undefined) forget(oldest);
    if (streamByName.size >= bounds.logsMax) {
      throw new MeshError(
        "RESOURCE_EXHAUSTED",
        `${bounds.logsMax} log streams are open, as many as this node keeps. Finish some first.`,
      );
    }
    const stream = createLogStream(name, bounds.logBytesMax, () => {
      closed.add(stream);
      setTimeout(() => forget(stream), bounds.retainMs).unref();
    });
    streamByName.set(name, stream);
    return stream;
  }

  function find(name: string): LogStream | undefined {
    return streamByName.get(name) ?? (announcedByName.has(name) ? open(name) : undefined);
  }

  return {
    create: (parent) =>
      open(`${checkInstance(parent)}${parent === "" ? "" : "/"}logstreams/${randomUUID()}`),
    find,
    findWritable: (writeName) => {
      const stream = streamByName.get(writeName.slice(0, writeName.lastIndexOf("/")));
      return stream?.writeName === writeName ? stream : undefined;
    },
    announce: (name, writer) => {
      const known = announcedByName.get(name);
      if (known === undefined) announcedByName.set(name, { writer, times: 1 });
      else known.times += 1;
    },
    append: (name, writer, offset, bytes) => {
      const full = streamByName.size >= bounds.logsMax && closed.size === 0;
      if (full || announcedByName.get(name)?.writer !== writer) return;
      const stream = find(name);
      // A resent or hostile offset that lies behind is nothing new.
      if (stream === undefined || offset < stream.size) return;
      stream.skipTo(offset);
      stream.append(offset, bytes);
    },
    retract: (name) => {
      const known = announcedByName.get(name);
      if (known !== undefined && known.times > 1) {
        known.times -= 1;
        return;
      }
      announcedByName.delete(name);
      streamByName.get(name)?.close();
    },
  };
}

function createLogStream(name: string, bytesMax: number, onClose: () => void): LogStream {
  const chunks: Uint8Array[] = [];
  let firstOffset = 0;
  let size = 0;
  let open = true;
  let wakers: (() => void)[] = [];

  function wake(): void {
    for (const waker of wakers.splice(0)) waker();
  }

  function dropOld(): void {
    for (let [oldest] = chunks; oldest !== undefined; [oldest] = chunks) {
      if (size - firstOffset - oldest.length < bytesMax) return;
      firstOffset += oldest.length;
      chunks.shift();
    }
  }

  function from(offset: number): Uint8Array | undefined {
    let at = firstOffset;
    for (const chunk of chunks) {
      if (offset < at + chunk.length) return chunk.subarray(Math.max(0, offset - at));
      at += chunk.length;
    }
    return undefined;
  }

  async function* read(
    offset: number,
    limit: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (offset < 0 || limit < 0 || offset > size) {
      throw new MeshError("OUT_OF_RANGE", `The log stream has ${size} bytes so far.`);
    }
    let left = limit === 0 ? Number.POSITIVE_INFINITY : limit;
    for (let at = offset; left > 0 && !signal.aborted; ) {
      at = Math.max(at, firstOffset);
      const chunk = from(at)?.subarray(0, left);
      if (chunk !== undefined) {
        yield chunk;
        at += chunk.length;
        left -= chunk.length;
      } else if (open) await changed(signal);
      else return;
    }
  }

  function changed(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    wakers.push(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    return promise.finally(() => {
      wakers = wakers.filter((waker) => waker !== resolve);
    });
  }

  return {
    name,
    writeName: `${name}/${randomUUID()}`,
    get size() {
      return size;
    },
    get finished() {
      return !open;
    },
    skipTo: (offset) => {
      if (offset <= size) return;
      chunks.splice(0);
      firstOffset = offset;
      size = offset;
    },
    append: (offset, bytes) => {
      if (!open) throw new MeshError("FAILED_PRECONDITION", "The log stream is finished.");
      if (offset !== size) {
        throw new MeshError("OUT_OF_RANGE", `The log stream goes on at ${size}, not at ${offset}.`);
      }
      if (bytes.length === 0) return;
      size += bytes.length;
      chunks.push(bytes);
      dropOld();
      wake();
    },
    close: () => {
      if (!open) return;
      open = false;
      onClose();
      wake();
    },
    read,
  };
}
