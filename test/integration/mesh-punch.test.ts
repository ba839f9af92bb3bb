// Two hosts behind routers of their own, linked through a third: past it where their routers let
// them, through it where they do not.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { punchBounds } from "../../src/mesh/hole-punch.ts";
import {
  type Authority,
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { throughOthers } from "../../src/mesh/transport.ts";
import { eventually } from "../support/eventually.ts";
import type { MeshHostLook, MeshHostOrder } from "../support/mesh-host-program.ts";
import {
  createNattedHosts,
  type NattedHosts,
  nattedHostsMissing,
  type Translation,
} from "../support/natted-hosts.ts";
import { root } from "../support/programs.ts";

interface Host {
  readonly peer: string;
  order(order: MeshHostOrder): Promise<MeshHostLook>;
}

const deadlineMs = 60_000;
const children: ChildProcess[] = [];
let folder: string | undefined;
let network: NattedHosts | undefined;
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.splice(0).map((child) => new Promise((end) => child.on("exit", end))));
  network?.remove();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function startHost(
  by: Authority,
  within: readonly string[],
  listen: readonly string[],
  relays: boolean,
): Promise<Host> {
  const key = await generateNodeKey();
  const peer = peerIdOf(key);
  const certificate = await issueCertificate(by, {
    ...{ peerId: peer, roles: ["host"], notBeforeMs: 0, notAfterMs: Date.now() + 3_600_000 },
  });
  const [program = "", ...rest] = within;
  const file = join(root, "test/support/mesh-host-program.ts");
  const child = spawn(program, [...rest, process.execPath, file], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  children.push(child);
  const order = (what: MeshHostOrder) =>
    new Promise<MeshHostLook>((resolve, reject) => {
      child.once("message", (look) => resolve(look as MeshHostLook));
      child.send(what, (error) => error !== null && reject(error));
    });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  await order({
    ...{ kind: "start", key: text(key), certificate: text(certificate), listen, relays },
    meshId: text(by.meshId),
  });
  return { peer, order };
}

/** Links the second home to the first through the open host. */
async function linkHomes(translation: Translation) {
  folder = mkdtempSync(join(tmpdir(), "punch-"));
  network = createNattedHosts(translation);
  const by = await createAuthority(folder);
  const { open, homes } = network;
  const [first, second] = homes;
  const listen = [`/ip4/${open.address}/tcp/4001`];
  const relay = await startHost(by, open.within, listen, true);
  const home = (within: readonly string[] = []) =>
    startHost(by, within, ["/ip4/0.0.0.0/tcp/4001", throughOthers], false);
  const [called, caller] = [await home(first?.within), await home(second?.within)];
  for (const { order } of [called, caller]) {
    await order({ kind: "dial", peer: relay.peer, addresses: listen });
  }
  let addresses: readonly string[] = [];
  await eventually(
    "it is dialled through the relay",
    async () => {
      addresses = (await called.order({ kind: "look" })).addresses;
      return addresses.some((address) => address.includes(throughOthers));
    },
    deadlineMs,
  );
  await caller.order({ kind: "dial", peer: called.peer, addresses });
  await eventually(
    "they are linked",
    async () => (await called.order({ kind: "look" })).linked.includes(caller.peer),
    deadlineMs,
  );
  return { called, caller, network };
}

const isDirect = async ({ order }: Host) =>
  (await order({ kind: "look" })).said.some((line) => line.includes("direct now"));

/** Sends 20 MB, for as long as it says, and tells how many bytes the relay was sent meanwhile. */
async function bytesThroughRelay(
  of: Awaited<ReturnType<typeof linkHomes>>,
  leastMs = 0,
): Promise<number> {
  const { called, caller } = of;
  const endMs = performance.now() + leastMs;
  const before = of.network.bytesToOpen();
  const { bytesHeard: heardBefore } = await called.order({ kind: "look" });
  for (let sent = 1; sent <= 20 || performance.now() < endMs; sent += 1) {
    await caller.order({ kind: "send", peer: called.peer, bytes: 1_000_000 });
    await eventually(
      "it arrives",
      async () =>
        (await called.order({ kind: "look" })).bytesHeard - heardBefore >= sent * 1_000_000,
      deadlineMs,
    );
  }
  return of.network.bytesToOpen() - before;
}

const missing = nattedHostsMissing();
const title = (what: string) => (missing === undefined ? what : `${what} (skipped: ${missing})`);

test.skipIf(missing !== undefined)(
  title("routers that keep ports: the link becomes direct without a break"),
  async () => {
    const linked = await linkHomes("same-port");
    const { called, caller } = linked;
    await eventually(
      "both ends are past the relay",
      async () => (await isDirect(called)) && (await isDirect(caller)),
      deadlineMs,
    );
    // Beyond the end of the relayed connection, and of the time that a dial may take.
    const leastMs = 1.5 * punchBounds.dialMs;
    expect(await bytesThroughRelay(linked, leastMs)).toBeLessThan(1_000_000);
    for (const { order } of [called, caller]) {
      expect(await order({ kind: "look" })).toMatchObject({ unlinks: 0 });
    }
  },
  180_000,
);

test.skipIf(missing !== undefined)(
  title("routers that give each connection another port: the link stays through the relay"),
  async () => {
    const linked = await linkHomes("random-port");
    const { called, caller } = linked;
    const failed = async () =>
      (await caller.order({ kind: "look" })).said.filter((line) =>
        line.startsWith("While getting past the relay"),
      ).length;
    await eventually(
      "it is given up",
      async () => (await failed()) === punchBounds.attempts,
      2 * deadlineMs,
    );
    expect(await bytesThroughRelay(linked)).toBeGreaterThan(20_000_000);
    for (const host of [called, caller]) {
      expect(await isDirect(host)).toBe(false);
      expect(await host.order({ kind: "look" })).toMatchObject({ unlinks: 0 });
    }
  },
  240_000,
);
