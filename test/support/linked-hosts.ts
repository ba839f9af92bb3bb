// Real libp2p hosts of one mesh, for tests of what passes between them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Authority,
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { eventually } from "./eventually.ts";

/** Hosts that trust each other. */
export interface MeshHosts {
  start(): Promise<MeshHost>;
  /** Starts two and links them. */
  pair(): Promise<[MeshHost, MeshHost]>;
  /** Dials `address` where one is given, such as that of a bad network in between. */
  link(from: MeshHost, to: MeshHost, address?: string): Promise<void>;
  stop(): Promise<void>;
}

/** A mesh without hosts. */
export function createMeshHosts(): MeshHosts {
  const folder = mkdtempSync(join(tmpdir(), "mesh-hosts-"));
  const linkedByPeer = new Map<string, Set<string>>();
  const hosts: MeshHost[] = [];
  let authority: Promise<Authority> | undefined;

  async function start(): Promise<MeshHost> {
    authority ??= createAuthority(folder);
    const of = await authority;
    const key = await generateNodeKey();
    const self = peerIdOf(key);
    const linked = new Set<string>();
    linkedByPeer.set(self, linked);
    const certificate = await issueCertificate(of, {
      peerId: self,
      roles: ["worker"],
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 3_600_000,
    });
    const events = {
      linked: (peer: string) => void linked.add(peer),
      unlinked: (peer: string) => void linked.delete(peer),
      undialled: () => undefined,
      message: () => undefined,
    };
    const host = await startMeshHost(
      { events, log: () => undefined, now: Date.now },
      {
        ...lanLinkOptions,
        ...{ key, certificate, meshId: of.meshId, software: "test" },
        listen: ["/ip4/127.0.0.1/tcp/0"],
      },
    );
    hosts.push(host);
    return host;
  }

  async function link(from: MeshHost, to: MeshHost, address?: string): Promise<void> {
    from.dial(to.peerId, address === undefined ? to.addresses() : [address]);
    await eventually("linked both ways", () => {
      const there = linkedByPeer.get(from.peerId)?.has(to.peerId) ?? false;
      return there && linkedByPeer.get(to.peerId)?.has(from.peerId);
    });
  }

  return {
    start,
    link,
    pair: async () => {
      const [a, b] = [await start(), await start()];
      await link(a, b);
      return [a, b];
    },
    stop: async () => {
      await Promise.all(hosts.splice(0).map((host) => host.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
