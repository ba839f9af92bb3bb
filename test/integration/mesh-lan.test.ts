import { createSocket } from "node:dgram";
import { expect, test } from "vitest";
import { announceOnLan, findOnLan, type LanAnnouncement } from "../../src/mesh/discovery.ts";

const quiet = () => undefined;
const desk: LanAnnouncement = {
  meshName: "home",
  meshId: "x",
  node: "desk",
  peer: "12D3KooWDesk",
  port: 9001,
  remotePort: 0,
  tls: false,
};

/** A free UDP port, so that tests do not hear what this network really has. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((bound) => socket.bind(0, bound));
  const { port } = socket.address();
  await new Promise<void>((closed) => socket.close(() => closed()));
  return port;
}

test("nodes that announce themselves are found, whatever else is said there", async () => {
  const port = await freePort();
  const laptop = { ...desk, node: "laptop", peer: "12D3KooWLaptop", remotePort: 9000, tls: true };
  const announcing = [announceOnLan(quiet, desk, { port }), announceOnLan(quiet, laptop, { port })];
  const noise = createSocket("udp4");
  for (const bytes of [new Uint8Array(3), new Uint8Array(2000).fill(0xff)]) {
    noise.send(bytes, port, "127.0.0.1");
  }
  try {
    const found = await findOnLan(quiet, 1500, { port });
    // Some machines have no multicast at all; then nobody is found and nothing breaks.
    if (found.length === 0) return;
    const byName = found.toSorted((a, b) => a.node.localeCompare(b.node));
    expect(byName).toEqual([
      { ...desk, host: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) },
      { ...laptop, host: expect.any(String) },
    ]);
  } finally {
    noise.close();
    for (const { stop } of announcing) stop();
  }
});

test("nobody is found where nobody is", async () => {
  expect(await findOnLan(quiet, 100, { port: await freePort() })).toEqual([]);
});
