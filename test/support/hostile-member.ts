// A member with a valid certificate that does not keep to the protocol: a bare mesh host which
// sends whatever a test wants to a serving node in a process of its own.

import { join } from "node:path";
import type { Message } from "../../src/core/message.ts";
import { blobProtocol } from "../../src/mesh/blob-stream.ts";
import {
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { parseLink } from "../../src/mesh/invitation.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { openHostTools } from "../../src/node/host-toolchain.ts";
import {
  type BlobFrame,
  blobBounds,
  decodeBlobFrame,
  encodeFramedPartsHead,
  encodePlainFrame,
  type PlainFrame,
} from "../../src/wire/blob-codec.ts";
import { encodeFrame, FrameDecoder } from "../../src/wire/frame.ts";
import { decodeMessage, encodeMessage, type PeerMessage } from "../../src/wire/mesh-codec.ts";
import { eventually } from "./eventually.ts";
import { type Place, run, type SpawnedNode } from "./programs.ts";

/** One hostile member, linked to its victim. */
export interface HostileMember {
  readonly host: MeshHost;
  readonly peer: string;
  /** Peer id of the serving node. */
  readonly victim: string;
  /** What the victim sent since the link opened; the newest 10,000. */
  readonly heard: PeerMessage[];
  /** Called for everything that is heard. */
  onHeard: (message: PeerMessage) => void;
  readonly isLinked: boolean;
  /** Bytes as they are; false where the link is closed or full. */
  sendRaw(bytes: Uint8Array): boolean;
  send(...messages: readonly PeerMessage[]): void;
  /** Links, or resolves false where it was not let in within the time. */
  link(deadlineMs?: number): Promise<boolean>;
  stop(): Promise<void>;
}

/** Where a serving node is dialled by members, and the folder of its mesh. */
export interface Victim {
  readonly peer: string;
  readonly addresses: readonly string[];
  readonly folder: string;
}

/** Asks a serving node for an invitation, which says where it is. */
export async function victimOf(place: Place, node: SpawnedNode, store: string): Promise<Victim> {
  const args = ["mesh", "invite", ...node.asOwner];
  const { stdout, stderr } = await run(place, "/", "builder", args);
  const link = /builder:\/\/join\/[\w-]+/.exec(stdout)?.[0];
  if (link === undefined) throw new Error(`no invitation: ${stdout}${stderr}`);
  const { peer, addresses } = parseLink(link);
  return { peer, addresses, folder: join(store, "mesh") };
}

/** Properties that satisfy every action of the tests. */
export const everything = {
  OSFamily: [process.platform],
  ISA: ["x86-64", "aarch64"],
  toolchain: openHostTools({ now: Date.now }).current().names,
};

/** What a member says of itself if it is asked nothing special. */
export function loadOf(peer: string, more: Partial<Message & { kind: "load" }> = {}): PeerMessage {
  const numbers = { slots: 4, free: 4, queued: 0, pending: 0, busy: 0, pendingMs: 0 };
  const rest = { draining: false, isolation: "none", properties: everything };
  return { kind: "load", name: "mallory", ...numbers, ...rest, home: peer, serves: false, ...more };
}

/** What is out of the ordinary with one. */
export interface HostileOptions {
  /** In place of its own. */
  readonly certificate?: Uint8Array;
  readonly roles?: readonly string[];
  /** Of frames that it sends itself, in bytes. */
  readonly messageBytesMax?: number;
}

/** Makes one, with a certificate of the victim's authority, and links it. */
export async function startHostile(
  victim: Victim,
  given: HostileOptions = {},
): Promise<HostileMember> {
  const authority = await createAuthority(victim.folder);
  const key = await generateNodeKey();
  const peer = peerIdOf(key);
  const now = Date.now();
  const { roles = ["host"] } = given;
  const times = { notBeforeMs: now - 60_000, notAfterMs: now + 3_600_000 };
  const certificate =
    given.certificate ??
    (await issueCertificate(authority, {
      peerId: peer,
      name: "mallory",
      roles,
      ...times,
    }));
  const heard: PeerMessage[] = [];
  /** Its own end opens before the other has looked at its certificate: only a word counts. */
  let welcomed = false;
  const made: { onHeard: (message: PeerMessage) => void } = { onHeard: () => undefined };
  const host = await startMeshHost(
    {
      log: () => undefined,
      now: Date.now,
      events: {
        linked: () => {
          welcomed = false;
        },
        unlinked: () => {
          welcomed = false;
        },
        undialled: () => undefined,
        message: (_, bytes) => {
          const message = decodeMessage(bytes);
          if (message === undefined) return;
          welcomed = true;
          heard.push(message);
          if (heard.length > 10_000) heard.shift();
          made.onHeard(message);
        },
      },
    },
    {
      ...lanLinkOptions,
      ...(given.messageBytesMax === undefined ? {} : { messageBytesMax: given.messageBytesMax }),
      ...{ key, certificate, meshId: authority.meshId, listen: [], software: "mallory" },
    },
  );
  const link = async (deadlineMs = 5000) => {
    host.dial(victim.peer, victim.addresses);
    try {
      await eventually("it is linked", () => welcomed, deadlineMs);
      return true;
    } catch {
      return false;
    }
  };
  const member: HostileMember = {
    ...{ host, peer, victim: victim.peer, heard, link },
    get onHeard() {
      return made.onHeard;
    },
    set onHeard(hear) {
      made.onHeard = hear;
    },
    get isLinked() {
      return welcomed;
    },
    sendRaw: (bytes) => host.send(victim.peer, bytes),
    send: (...messages) => {
      for (const message of messages) host.send(victim.peer, encodeMessage(message));
    },
    stop: () => host.stop(),
  };
  return member;
}

/** How a member answers when it is asked for blobs. */
export type BlobLie = "wrong bytes" | "half a blob" | "endless parts" | "silence";

/**
 * Passes for a host that has every blob: says so when it is asked, takes what it is given and keeps
 * nothing, and lies in this way when somebody wants one.
 */
export async function lieAboutBlobs(member: HostileMember, lie: BlobLie): Promise<void> {
  await member.host.serveProtocol(blobProtocol, (_, stream) => {
    const decoder = new FrameDecoder({ frameBytesMax: blobBounds.frameBytesMax });
    const tell = (frame: PlainFrame) => stream.send(encodeFrame(encodePlainFrame(frame)));
    const part = (id: number, data: Uint8Array) => {
      const pieces = { id, blobs: [0], lengths: [data.length], expandedBytes: 0 };
      stream.send(Buffer.concat([encodeFramedPartsHead(pieces, data.length), data]));
    };
    const want = (id: number, sizeBytes: number) => {
      if (lie === "silence") return;
      if (lie === "wrong bytes") part(id, new Uint8Array(Math.min(sizeBytes, 100_000)));
      if (lie === "half a blob" && sizeBytes > 1) part(id, new Uint8Array(1));
      for (let more = 0; lie === "endless parts" && more < 100; more += 1) {
        part(id, new Uint8Array(200_000));
      }
      tell({ kind: "end", id, missing: [] });
    };
    const answer = (frame: BlobFrame) => {
      const { id } = frame;
      if (frame.kind === "want") want(id, frame.digests[0]?.sizeBytes ?? 0);
      if (frame.kind === "ask") tell({ kind: "missing", id, missing: [] });
      if (frame.kind === "getResult") tell({ kind: "cachedResult", id, result: undefined });
      if (frame.kind === "end" || frame.kind === "putResult") {
        tell({ kind: "stored", id, refused: [], code: undefined, message: "" });
      }
    };
    stream.addEventListener("message", ({ data }) => {
      try {
        for (const bytes of decoder.push(data instanceof Uint8Array ? data : data.subarray())) {
          const frame = decodeBlobFrame(bytes);
          if (frame !== undefined) answer(frame);
        }
      } catch {
        // It was cut off in the middle.
      }
    });
  });
  const record = { peer: member.peer, name: "mallory", addresses: [], incarnation: Date.now() };
  const members = [{ ...record, version: 1, left: false }];
  member.send({ kind: "members", members, workStealing: false, workStealingVersion: 0 });
}

/** Sends as fast as the link takes it until `until` is over. */
export async function flood(
  member: HostileMember,
  next: (count: number) => readonly PeerMessage[],
  until: { over: boolean },
): Promise<number> {
  let count = 0;
  while (!until.over && member.isLinked) {
    for (const message of next(count)) {
      if (!member.sendRaw(encodeMessage(message))) break;
      count += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return count;
}
