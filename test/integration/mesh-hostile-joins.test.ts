import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Admit, joinProtocol, requestJoin, serveJoins } from "../../src/mesh/enrolment.ts";
import {
  type Authority,
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { type Invitation, newSecret } from "../../src/mesh/invitation.ts";
import { createPeer } from "../../src/mesh/transport.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { JoinAnswer } from "../../src/wire/gen/builder/mesh/v1/join.ts";

const seed = 20_261_124;
const folder = mkdtempSync(join(tmpdir(), "hostile-joins-"));
let authority: Authority;
beforeAll(async () => {
  authority = await createAuthority(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const loopback = ["/ip4/127.0.0.1/tcp/0"];
const as = async () => ({ key: await generateNodeKey(), name: "n", software: "test" });

function invitationTo(node: Awaited<ReturnType<typeof createPeer>>): Invitation {
  return {
    meshId: authority.meshId,
    secret: newSecret(),
    expiresAtMs: 0,
    peer: node.peerId.toString(),
    addresses: node.getMultiaddrs().map((address) => address.toString().replace(/\/p2p\/.*/, "")),
  };
}

test("a stranger's bytes end his stream and nothing else", async () => {
  const node = await createPeer(await generateNodeKey(), loopback);
  const admit: Admit = async ({ peer }) => ({
    certificate: await issueCertificate(authority, {
      ...{ peerId: peer, roles: ["host"], notBeforeMs: 0, notAfterMs: Date.now() + 60_000 },
    }),
    ...{ members: [], revocations: [], meshName: "m", workStealing: false },
    ...{ workStealingVersion: 0, authorityKey: undefined },
  });
  await serveJoins(node, { admit, software: "test", log: () => undefined, now: Date.now });
  const stranger = await createPeer(await generateNodeKey(), []);
  try {
    const connection = await stranger.dial(multiaddr(node.getMultiaddrs()[0]!.toString()));
    const oversize = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f);
    const hostile = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }).map(encodeFrame),
      fc.uint8Array({ minLength: 6, maxLength: 200 }),
      fc.constant(oversize),
    );
    for (const bytes of fc.sample(hostile, { seed, numRuns: 40 })) {
      const stream = await connection.newStream(joinProtocol);
      const ended = new Promise((resolve) => stream.addEventListener("close", resolve));
      stream.send(bytes);
      await stream.close().catch(() => undefined);
      stream.abort(new Error("enough"));
      await ended;
    }
    const { meshName } = await requestJoin(invitationTo(node), await as(), Date.now);
    expect(meshName).toBe("m");
  } finally {
    await stranger.stop();
    await node.stop();
  }
}, 60_000);

test("whatever a false mesh answers, the newcomer refuses it", async () => {
  const other = await createAuthority(join(folder, "other"));
  let answer: (peer: string) => Promise<Uint8Array> = async () => new Uint8Array();
  const node = await createPeer(await generateNodeKey(), loopback);
  await node.handle(joinProtocol, (stream, connection) => {
    stream.addEventListener("message", async () => {
      stream.send(await answer(connection.remotePeer.toString()));
      await stream.close().catch(() => undefined);
    });
  });
  const certified = async (by: Authority, peerId: string, more = {}) => {
    const times = { notBeforeMs: 0, notAfterMs: Date.now() + 60_000 };
    const certificate = await issueCertificate(by, { peerId, roles: ["host"], ...times });
    const empty = { members: [], revocations: [], meshName: "m", workStealing: false };
    const rest = { workStealingVersion: 0, authorityKey: new Uint8Array(), ...more };
    const outcome = { $case: "joined" as const, value: { certificate, ...empty, ...rest } };
    const bytes = JoinAnswer.encode({ outcome, nowMs: 0, software: "" }).finish();
    return encodeFrame(bytes);
  };
  const somebody = peerIdOf(await generateNodeKey());
  const cases: [typeof answer, RegExp][] = [
    [async () => encodeFrame(new Uint8Array()), /makes no sense/],
    [async () => new Uint8Array(0), /hung up/],
    [async () => Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f), /bytes was announced/],
    [async () => encodeFrame(new Uint8Array(50).fill(0xff)), /./],
    [(peer) => certified(other, peer), /not signed by this mesh/],
    [() => certified(authority, somebody), /belongs to/],
    [(peer) => certified(authority, peer, { meshName: "x".repeat(65) }), /makes no sense/],
  ];
  try {
    for (const [given, reason] of cases) {
      answer = given;
      await expect(requestJoin(invitationTo(node), await as(), Date.now)).rejects.toThrow(reason);
    }
    answer = (peer) => certified(authority, peer);
    const admission = await requestJoin(invitationTo(node), await as(), Date.now);
    expect(admission.authorityKey).toBeUndefined();
  } finally {
    await node.stop();
  }
}, 60_000);
