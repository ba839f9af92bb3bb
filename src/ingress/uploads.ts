// Uploads under way: one write into the store each, fed by one call after the other until all bytes
// are there. A call that breaks off leaves its upload waiting, so that a client goes on from there.

import type { BlobStore } from "../cas/blob-store.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { IngressBounds } from "./bounds.ts";

/** One blob on its way into the store. */
export interface Upload {
  /** Uncompressed bytes that the store has taken. */
  readonly committed: number;
  /** Resolves when the same blob came by another way: nothing more need be sent. */
  readonly elsewhere: Promise<void>;
  /** Hands bytes over; resolves when more are wanted. Rejects with the store's error. */
  push(bytes: Uint8Array): Promise<void>;
  /** No more bytes follow. Resolves when the blob is stored; INVALID_ARGUMENT for a wrong one. */
  finish(): Promise<void>;
  /** The call ended before the upload: it waits to be resumed, or is given up in the end. */
  pause(): void;
}

/** The uploads of one ingress. */
export interface Uploads {
  /**
   * Starts an upload at offset 0, or resumes one. INVALID_ARGUMENT where nothing is kept at
   * `offset`; RESOURCE_EXHAUSTED where too many are under way.
   */
  open(name: string, digest: Digest, offset: number): Upload;
  /** Tells uploads of a blob that came by another way. */
  arrived(digest: Digest): void;
  /**
   * Uncompressed bytes kept of an upload; 0 where nothing is, or where all bytes are here but not
   * yet stored: a client that resumed at the end would send nothing, and take the blob as stored.
   */
  committed(name: string): number;
  /** Gives all up. */
  close(): void;
}

/** What a table of uploads is bounded by. */
export type UploadBounds = Pick<IngressBounds, "writesMax" | "writesPausedMax" | "writeIdleMs">;

interface Held extends Upload {
  readonly name: string;
  /** True while no call feeds it. */
  isPaused(): boolean;
  /** True once every byte has come, stored or not. */
  isWhole(): boolean;
  resume(): void;
  arrived(): void;
  abort(why: MeshError): void;
}

/** Creates the table. */
export function createUploads(deps: { readonly store: BlobStore }, bounds: UploadBounds): Uploads {
  /** By resource name; the latest of each. */
  const heldByName = new Map<string, Held>();
  const all = new Set<Held>();
  const heldByDigest = new Map<string, Set<Held>>();

  function drop(held: Held, key: string): void {
    all.delete(held);
    if (heldByName.get(held.name) === held) heldByName.delete(held.name);
    const same = heldByDigest.get(key);
    same?.delete(held);
    if (same?.size === 0) heldByDigest.delete(key);
  }

  function arrived(key: string): void {
    for (const held of [...(heldByDigest.get(key) ?? [])]) {
      held.arrived();
      held.abort(new MeshError("ABORTED", "The blob came by another way."));
    }
  }

  function giveUpOldest(): void {
    const paused = [...all].filter((held) => held.isPaused());
    const [oldest] = paused;
    if (paused.length >= bounds.writesPausedMax || all.size >= bounds.writesMax) {
      oldest?.abort(new MeshError("ABORTED", "The upload was given up for newer ones."));
    }
    if (all.size < bounds.writesMax) return;
    throw new MeshError(
      "RESOURCE_EXHAUSTED",
      `${bounds.writesMax} uploads are under way, as many as this node takes. Try again later.`,
    );
  }

  function start(name: string, digest: Digest): Held {
    const earlier = heldByName.get(name);
    if (earlier?.isPaused()) earlier.abort(new MeshError("ABORTED", "The client began anew."));
    giveUpOldest();
    const key = digestKey(digest);
    const held = createUpload(deps.store, name, digest, bounds.writeIdleMs, (stored) => {
      drop(held, key);
      if (stored) arrived(key);
    });
    all.add(held);
    heldByName.set(name, held);
    const same = heldByDigest.get(key) ?? new Set();
    heldByDigest.set(key, same.add(held));
    return held;
  }

  return {
    open: (name, digest, offset) => {
      if (offset === 0) return start(name, digest);
      const held = heldByName.get(name);
      if (!held?.isPaused() || held.committed !== offset) throw notAt(offset, held?.committed);
      held.resume();
      return held;
    },
    arrived: (digest) => arrived(digestKey(digest)),
    committed: (name) => {
      const held = heldByName.get(name);
      return held === undefined || held.isWhole() ? 0 : held.committed;
    },
    close: () => {
      for (const held of [...all]) held.abort(new MeshError("UNAVAILABLE", "The node stops."));
    },
  };
}

/** One upload; `ended` is called once, with whether the blob is stored. */
function createUpload(
  store: BlobStore,
  name: string,
  digest: Digest,
  idleMs: number,
  ended: (stored: boolean) => void,
): Held {
  const channel = createChannel();
  const { promise: elsewhere, resolve: arrived } = Promise.withResolvers<void>();
  let committed = 0;
  let over = false;
  let idle: NodeJS.Timeout | undefined;
  const abort = (why: MeshError) => channel.fail(why);
  const stored = store
    .write(digest, channel.bytes())
    .then(
      () => ended(true),
      (error: unknown) => {
        ended(false);
        throw error;
      },
    )
    .finally(() => {
      over = true;
      clearTimeout(idle);
      channel.close();
    });
  // A paused upload that fails has nobody to tell; whoever resumes it is told by `push`.
  stored.catch(() => undefined);
  return {
    name,
    elsewhere,
    arrived,
    abort,
    get committed() {
      return committed;
    },
    isPaused: () => idle !== undefined,
    isWhole: () => committed >= digest.sizeBytes,
    pause: () => {
      if (over) return;
      // All bytes came, only the end was not said: the blob is as good as any, if it is right.
      if (committed >= digest.sizeBytes) return channel.end();
      idle = setTimeout(() => abort(new MeshError("ABORTED", "The upload went quiet.")), idleMs);
      idle.unref();
    },
    resume: () => {
      clearTimeout(idle);
      idle = undefined;
    },
    push: async (bytes) => {
      // The store may end early, with an error or because the blob is there already.
      await Promise.race([channel.push(bytes), stored]);
      committed += bytes.length;
    },
    finish: async () => {
      channel.end();
      await stored;
    },
  };
}

/** One chunk at a time from whoever pushes to whoever reads. */
function createChannel() {
  let chunk: Uint8Array | undefined;
  let state: "open" | "ended" | MeshError = "open";
  let wakeReader: () => void = () => undefined;
  let wakeWriter: () => void = () => undefined;
  const turn = (next: "ended" | MeshError) => {
    if (state === "open") state = next;
    wakeReader();
    wakeWriter();
  };
  return {
    async *bytes(): AsyncGenerator<Uint8Array> {
      for (;;) {
        while (chunk === undefined && state === "open") {
          await new Promise<void>((wake) => {
            wakeReader = wake;
          });
        }
        if (state instanceof MeshError) throw state;
        if (chunk === undefined) return;
        yield chunk;
        chunk = undefined;
        wakeWriter();
      }
    },
    push: async (bytes: Uint8Array): Promise<void> => {
      chunk = bytes;
      wakeReader();
      while (chunk !== undefined && state === "open") {
        await new Promise<void>((wake) => {
          wakeWriter = wake;
        });
      }
    },
    end: () => turn("ended"),
    fail: (why: MeshError) => turn(why),
    close: () => turn("ended"),
  };
}

function notAt(offset: number, committed: number | undefined): MeshError {
  const kept = committed === undefined ? "nothing" : `${committed} bytes`;
  return new MeshError(
    "INVALID_ARGUMENT",
    `write_offset is ${offset}, but ${kept} of this upload is kept and free to be resumed. ` +
      "Ask QueryWriteStatus where to go on, or start at 0.",
  );
}
