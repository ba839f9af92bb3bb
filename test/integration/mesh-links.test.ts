import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import {
  type Authority,
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
  verifyCertificate,
} from "../../src/mesh/identity.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { eventually } from "../support/eventually.ts";

const noSponsor = new Uint8Array();
let authority: Authority;
const folders: string[] = [];
const hosts: MeshHost[] = [];

beforeAll(async () => {
  authority = await newAuthority();
});
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
  for (const folder of folders.splice(1)) rmSync(folder, { recursive: true });
});

function newAuthority(): Promise<Authority> {
  const folder = mkdtempSync(join(tmpdir(), "authority-"));
  folders.push(folder);
  return createAuthority(folder);
}

interface Recorded {
  readonly host: MeshHost;
  readonly events: string[];
  readonly log: string[];
  /** What is done when a link ended or none came about. */
  redial: () => void;
}

function keepLinked(from: Recorded, to: Recorded): void {
  from.redial = () => from.host.dial(to.host.peerId, [address(to)]);
  from.redial();
}

async function host(
  given: {
    by?: Authority;
    validMs?: number;
    certificate?: Uint8Array;
    messageBytesMax?: number;
  } = {},
): Promise<Recorded> {
  const key = await generateNodeKey();
  const now = Date.now();
  const certificate =
    given.certificate ??
    (await issueCertificate(given.by ?? authority, {
      peerId: peerIdOf(key),
      roles: ["worker"],
      notBeforeMs: now - 60_000,
      notAfterMs: now + (given.validMs ?? 60_000),
    }));
  const events: string[] = [];
  const log: string[] = [];
  const recorded: { redial: () => void } = { redial: () => undefined };
  const redial = () => setTimeout(() => recorded.redial(), 50).unref();
  const started = await startMeshHost(
    {
      events: {
        linked: () => events.push("linked"),
        unlinked: () => {
          events.push("unlinked");
          redial();
        },
        undialled: redial,
        message: (_, bytes) => events.push(Buffer.from(bytes).toString()),
      },
      log: (_, message) => log.push(message),
      now: Date.now,
    },
    {
      ...lanLinkOptions,
      messageBytesMax: given.messageBytesMax ?? lanLinkOptions.messageBytesMax,
      helloMs: 1000,
      key,
      certificate,
      meshId: authority.meshId,
      listen: ["/ip4/127.0.0.1/tcp/0"],
      software: "test",
    },
  );
  hosts.push(started);
  return Object.assign(recorded, { host: started, events, log });
}

function address(of: Recorded): string {
  return of.host.addresses()[0]!;
}

test("two members link and thousands of messages arrive in order both ways", async () => {
  const [a, b] = [await host(), await host()];
  keepLinked(a, b);
  await eventually("both linked", () => a.events[0] === "linked" && b.events[0] === "linked");
  // Several times what one yamux window holds, so that credit has to come back in between.
  const padding = "x".repeat(400);
  for (let i = 0; i < 5000; i += 1) {
    expect(a.host.send(b.host.peerId, Buffer.from(`to b ${i} ${padding}`))).toBe(true);
    expect(b.host.send(a.host.peerId, Buffer.from(`to a ${i} ${padding}`))).toBe(true);
  }
  await eventually("all arrived", () => a.events.length === 5001 && b.events.length === 5001);
  expect(b.events.slice(1)).toEqual(Array.from({ length: 5000 }, (_, i) => `to b ${i} ${padding}`));
});

test("strangers are refused with the reason and never linked", async () => {
  const other = await newAuthority();
  const cases: [Parameters<typeof host>[0], RegExp][] = [
    [{ by: other }, /not signed by this mesh/],
    [{ validMs: -1000 }, /expired/],
    [{ certificate: new Uint8Array([1, 2, 3]) }, /malformed/],
    [{ certificate: new Uint8Array() }, /not signed by this mesh/],
  ];
  for (const [given, reason] of cases) {
    const member = await host();
    const stranger = await host(given);
    keepLinked(stranger, member);
    await eventually("refused", () => member.log.some((line) => reason.test(line)));
    expect(member.events).toEqual([]);
  }
});

test("a certificate is worth nothing in another peer's hands", async () => {
  const now = Date.now();
  const certificate = await issueCertificate(authority, {
    peerId: peerIdOf(await generateNodeKey()),
    roles: [],
    notBeforeMs: 0,
    notAfterMs: now + 60_000,
  });
  const peerId = peerIdOf(await generateNodeKey());
  const expected = { meshId: authority.meshId, peerId, nowMs: now };
  await expect(verifyCertificate(certificate, noSponsor, expected)).rejects.toThrow(/belongs to/);
  const flipped = Uint8Array.from(certificate);
  flipped[10]! ^= 1;
  await expect(verifyCertificate(flipped, noSponsor, expected)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
});

test("two that dial each other at once end with one link", async () => {
  const [a, b] = [await host(), await host()];
  keepLinked(a, b);
  keepLinked(b, a);
  await eventually("both linked", () => a.events.includes("linked") && b.events.includes("linked"));
  await eventually("a message passes", () => {
    a.host.send(b.host.peerId, Buffer.from("hello"));
    return b.events.includes("hello");
  });
  const changes = b.events.filter((event) => event !== "hello");
  changes.forEach((event, index) => {
    expect(event).toBe(index % 2 === 0 ? "linked" : "unlinked");
  });
});

test("an oversize message ends the link and a redial restores it", async () => {
  const [small, big] = [await host({ messageBytesMax: 1000 }), await host()];
  keepLinked(big, small);
  await eventually("linked", () => small.events.includes("linked"));
  big.host.send(small.host.peerId, Buffer.alloc(5000));
  await eventually("linked again", () => small.events.join(" ") === "linked unlinked linked");
});

test("a stopped peer is noticed at once", async () => {
  const [a, b] = [await host(), await host()];
  keepLinked(a, b);
  await eventually("linked", () => b.events.includes("linked"));
  await a.host.stop();
  await eventually("unlinked", () => b.events.includes("unlinked"), 8000);
});

test("garbage on the port harms nobody", async () => {
  const [a, b] = [await host(), await host()];
  const port = Number(address(a).split("/")[4]);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(Buffer.alloc(100_000, 0xff));
  keepLinked(b, a);
  await eventually("linked", () => a.events.includes("linked"));
  socket.destroy();
});
