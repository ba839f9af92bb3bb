import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import {
  type Authority,
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { throughOthers } from "../../src/mesh/transport.ts";
import { eventually } from "../support/eventually.ts";

const folder = mkdtempSync(join(tmpdir(), "relay-"));
let authority: Authority;
const hosts: MeshHost[] = [];
beforeAll(async () => {
  authority = await createAuthority(join(folder, "a"));
});
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(listen: readonly string[], relays = false, by = authority) {
  const key = await generateNodeKey();
  const certificate = await issueCertificate(by, {
    peerId: peerIdOf(key),
    roles: ["host"],
    notBeforeMs: 0,
    notAfterMs: Date.now() + 60_000,
  });
  const linked = new Set<string>();
  const heard: string[] = [];
  const host = await startMeshHost(
    {
      events: {
        linked: (peer) => linked.add(peer),
        unlinked: (peer) => linked.delete(peer),
        undialled: () => undefined,
        message: (_, bytes) => heard.push(Buffer.from(bytes).toString()),
      },
      log: () => undefined,
      now: Date.now,
    },
    {
      ...{ ...lanLinkOptions, helloMs: 1000 },
      ...{ key, certificate, meshId: authority.meshId, listen, relays, software: "test" },
    },
  );
  hosts.push(host);
  return { host, linked, heard };
}

test("a member that nobody can dial is linked with through one that all can, strangers are not", async () => {
  const open = await start(["/ip4/127.0.0.1/tcp/0"], true);
  const hidden = await start([throughOthers]);
  const worker = await start([]);
  const stranger = await start([throughOthers], false, await createAuthority(join(folder, "b")));
  for (const { host } of [hidden, worker, stranger]) {
    host.dial(open.host.peerId, open.host.addresses());
  }
  await eventually("it can be dialled", () => hidden.host.addresses().length > 0);
  await eventually("the worker is linked", () => worker.linked.has(open.host.peerId));
  // Beside an address of the kind that swallows dials or refuses them.
  const addresses = ["/ip4/127.0.0.1/tcp/1", ...hidden.host.addresses()];
  worker.host.dial(hidden.host.peerId, addresses);
  await eventually("linked", () => worker.linked.has(hidden.host.peerId));
  const blob = "x".repeat(60_000);
  for (let at = 0; at < 100; at += 1) worker.host.send(hidden.host.peerId, Buffer.from(blob));
  await eventually("more passes than a limited relay lets", () => hidden.heard.length === 100);
  expect(stranger.host.addresses()).toEqual([]);
  expect(open.linked.size).toBe(2);
}, 60_000);
