// A member with a valid certificate that does not keep to the protocol: a bare mesh host which
// sends whatever a test wants to a serving node in a process of its own.

import { join } from "node:path";
import type { Message } from "../../src/core/message.ts";
import {
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { parseLink } from "../../src/mesh/invitation.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
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
  const args = ["mesh", "invite", "--coordinator", node.address];
  const { stdout, stderr } = await run(place, "/", "builder", args);
  const link = /builder:\/\/join\/[\w-]+/.exec(stdout)?.[0];
  if (link === undefined) throw new Error(`no invitation: ${stdout}${stderr}`);
  const { peer, addresses } = parseLink(link);
  return { peer, addresses, folder: join(store, "mesh") };
}

/** What a member says of itself if it is asked nothing special. */
export function loadOf(peer: string, more: Partial<Message & { kind: "load" }> = {}): PeerMessage {
  const numbers = { slots: 4, free: 4, queued: 0, pending: 0 };
  const rest = { draining: false, isolation: "none", properties: { OSFamily: ["linux"] } };
  return { kind: "load", name: "mallory", ...numbers, ...rest, home: peer, serves: false, ...more };
}

/** Makes one, with a certificate of the victim's authority, and links it. */
export async function startHostile(
  victim: Victim,
  given: { certificate?: Uint8Array; key?: Uint8Array; messageBytesMax?: number } = {},
): Promise<HostileMember> {
  const authority = await createAuthority(victim.folder);
  const key = given.key ?? (await generateNodeKey());
  const peer = peerIdOf(key);
  const now = Date.now();
  const times = { notBeforeMs: now - 60_000, notAfterMs: now + 3_600_000 };
  const certificate =
    given.certificate ??
    (await issueCertificate(authority, {
      peerId: peer,
      name: "mallory",
      roles: ["host"],
      ...times,
    }));
  const heard: PeerMessage[] = [];
  let isLinked = false;
  const made: { onHeard: (message: PeerMessage) => void } = { onHeard: () => undefined };
  const host = await startMeshHost(
    {
      log: () => undefined,
      now: Date.now,
      events: {
        linked: () => {
          isLinked = true;
        },
        unlinked: () => {
          isLinked = false;
        },
        undialled: () => undefined,
        message: (_, bytes) => {
          const message = decodeMessage(bytes);
          if (message === undefined) return;
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
      await eventually("it is linked", () => isLinked, deadlineMs);
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
      return isLinked;
    },
    sendRaw: (bytes) => host.send(victim.peer, bytes),
    send: (...messages) => {
      for (const message of messages) host.send(victim.peer, encodeMessage(message));
    },
    stop: () => host.stop(),
  };
  return member;
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
