// Newcomers, and nodes, that do not keep to the protocol of knocking.

import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { failureOf } from "../../src/core/error.ts";
import { knockDefaults } from "../../src/core/knocks.ts";
import { readFrames } from "../../src/mesh/frame-reader.ts";
import { generateNodeKey } from "../../src/mesh/identity.ts";
import { knock } from "../../src/mesh/knock.ts";
import { createKnockDoor } from "../../src/mesh/knock-door.ts";
import {
  type KnockAnswer,
  type KnockStep,
  knockBounds,
  knockProtocol,
  readKnockReply,
} from "../../src/mesh/knock-frames.ts";
import { commitmentTo, newNonce } from "../../src/mesh/short-code.ts";
import { createPeer, type Peer } from "../../src/mesh/transport.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { KnockReply, KnockRequest } from "../../src/wire/gen/builder/mesh/v1/knock.ts";
import { eventually } from "../support/eventually.ts";

const seed = 20_261_127;
const meshId = new Uint8Array(36).fill(7);
const loopback = ["/ip4/127.0.0.1/tcp/0"];
const peers: Peer[] = [];
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.stop()));
});

async function newPeer(listen: readonly string[] = []): Promise<Peer> {
  const peer = await createPeer(await generateNodeKey(), listen);
  peers.push(peer);
  return peer;
}

/** A node with a door, by a clock that a test may move. */
async function startNode(clock = { nowMs: 0 }) {
  const node = await newPeer(loopback);
  const door = createKnockDoor({
    ...{ meshId, log: () => undefined, now: () => clock.nowMs, admins: () => [] },
    invite: () => new Uint8Array(16).fill(5),
  });
  await door.serve(node);
  const address = node
    .getMultiaddrs()[0]!
    .toString()
    .replace(/\/p2p\/.*/, "");
  return { door, at: { meshId, peer: node.peerId.toString(), address } };
}

type At = Awaited<ReturnType<typeof startNode>>["at"];

/** A stream of a stranger to the door. */
async function knockRaw(at: At): Promise<Stream> {
  const stranger = await newPeer();
  return stranger.dialProtocol(multiaddr(`${at.address}/p2p/${at.peer}`), knockProtocol);
}

const framed = (step: KnockStep) => encodeFrame(KnockRequest.encode({ step }).finish());
const begin = (given: { nonce?: Uint8Array; meshId?: Uint8Array; name?: string }): KnockStep => ({
  $case: "knock",
  value: {
    ...{ meshId, name: "stranger", protocolMinor: 0, software: "test", ...given },
    commitment: commitmentTo(given.nonce ?? newNonce()),
  },
});
const reveal = (nonce: Uint8Array): KnockStep => ({ $case: "reveal", value: { nonce } });

/** What the door says last, or that it hung up. */
async function endOf(stream: Stream, ...steps: readonly KnockStep[]): Promise<string> {
  const frames = readFrames(stream, knockBounds.replyBytesMax);
  try {
    for (const step of steps) stream.send(framed(step));
    for (;;) {
      const answer = readKnockReply(await frames.next(30_000));
      if (answer.$case === "refusal") return answer.value.message;
      if (answer.$case === "waiting") return "it waits";
    }
  } catch (error) {
    return failureOf(error).message;
  }
}

const quiet = { signal: new AbortController().signal, onCode: () => undefined };
const as = { name: "laptop", software: "test" };

test("a newcomer that is not bound to its nonce, or speaks out of turn, gets no code", async () => {
  const clock = { nowMs: 0 };
  const { door, at } = await startNode(clock);
  const nonce = newNonce();
  const cases: [readonly KnockStep[], RegExp][] = [
    [[begin({ nonce }), reveal(newNonce())], /hung up/],
    [[reveal(nonce)], /hung up/],
    [[begin({ nonce }), begin({ nonce })], /hung up/],
    [[begin({ nonce: nonce.subarray(1) }), reveal(nonce.subarray(1))], /hung up/],
    [[begin({ name: "x".repeat(65) })], /hung up/],
    [[begin({ meshId: new Uint8Array(36) })], /another mesh/],
    [[begin({ nonce }), reveal(nonce), reveal(nonce)], /it waits|hung up/],
  ];
  for (const [steps, end] of cases) {
    // None of these is about how often one may try.
    clock.nowMs += 61_000;
    expect(await endOf(await knockRaw(at), ...steps)).toMatch(end);
  }
  // The last one said too much and is out again.
  await eventually("nobody knocks", () => door.waiting().length === 0);
});

test("a stranger's bytes end his stream and nothing else", async () => {
  const clock = { nowMs: 0 };
  const { door, at } = await startNode(clock);
  const stranger = await newPeer();
  const connection = await stranger.dial(multiaddr(`${at.address}/p2p/${at.peer}`));
  const hostile = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 200 }).map(encodeFrame),
    fc.uint8Array({ minLength: 6, maxLength: 200 }),
    fc.constant(encodeFrame(new Uint8Array(knockBounds.requestBytesMax + 1))),
  );
  for (const bytes of fc.sample(hostile, { seed, numRuns: 40 })) {
    const stream = await connection.newStream(knockProtocol);
    const ended = new Promise((resolve) => stream.addEventListener("close", resolve));
    stream.send(bytes);
    await stream.close().catch(() => undefined);
    stream.abort(new Error("enough"));
    await ended;
  }
  expect(door.waiting()).toEqual([]);
  const told = Promise.withResolvers<string>();
  const knocking = knock(at, as, { ...quiet, onCode: told.resolve });
  door.admit(await told.promise);
  const came = await knocking;
  expect(came.kind === "letIn" && [...came.secret]).toEqual(Array.from({ length: 16 }, () => 5));
});

test("a flood of knocks takes three places of one address, and ten tries a minute", async () => {
  const clock = { nowMs: 0 };
  const { door, at } = await startNode(clock);
  const ends: string[] = [];
  for (let n = 0; n < 12; n += 1) {
    const nonce = newNonce();
    ends.push(await endOf(await knockRaw(at), begin({ nonce }), reveal(nonce)));
  }
  const { perAddressMax } = knockDefaults;
  expect(ends.filter((end) => end === "it waits")).toHaveLength(perAddressMax);
  expect(ends.filter((end) => /of this address knock there/.test(end))).toHaveLength(7);
  expect(ends.filter((end) => /too many knocks within a minute/.test(end))).toHaveLength(2);
  expect(door.waiting()).toHaveLength(perAddressMax);
  // The connections of all of them close: there is room again.
  await Promise.all(peers.splice(1).map((peer) => peer.stop()));
  await eventually("they are forgotten", () => door.waiting().length === 0);
  clock.nowMs += 61_000;
  const nonce = newNonce();
  expect(await endOf(await knockRaw(at), begin({ nonce }), reveal(nonce))).toBe("it waits");
});

test("whatever a false node answers, the newcomer shows its nonce once and takes nothing odd", async () => {
  const node = await newPeer(loopback);
  let answers: readonly Uint8Array[] = [];
  let heardFrames = 0;
  await node.handle(knockProtocol, async (stream) => {
    const frames = readFrames(stream, 4096);
    for (const answer of answers) {
      await frames
        .next(10_000)
        .then(() => (heardFrames += 1))
        .catch(() => undefined);
      stream.send(answer);
    }
    await stream.close().catch(() => undefined);
  });
  const address = node
    .getMultiaddrs()[0]!
    .toString()
    .replace(/\/p2p\/.*/, "");
  const at = { meshId, peer: node.peerId.toString(), address };
  const say = (step: KnockAnswer) => encodeFrame(KnockReply.encode({ step }).finish());
  const nonce = say({ $case: "nonce", value: { nonce: newNonce() } });
  const waiting = say({ $case: "waiting", value: {} });
  const letIn = (length: number) =>
    say({ $case: "letIn", value: { secret: new Uint8Array(length) } });
  const names = Array.from({ length: knockBounds.namesMax + 1 }, () => "desk");
  const oversize = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f);
  // Before the newcomer showed its nonce another node may be asked, afterwards none.
  const early: [readonly Uint8Array[], RegExp][] = [
    [[new Uint8Array(0)], /went away/],
    [[encodeFrame(new Uint8Array())], /makes no sense/],
    [[oversize], /bytes was announced/],
    [[waiting], /out of turn/],
    [[letIn(16)], /out of turn/],
    [[say({ $case: "nonce", value: { nonce: new Uint8Array(31) } })], /makes no sense/],
    [[say({ $case: "elsewhere", value: { names } })], /makes no sense/],
    [[say({ $case: "refusal", value: { code: "X", message: "No." } })], /^No\.$/],
  ];
  for (const [given, why] of early) {
    answers = given;
    const came = await knock(at, as, quiet);
    expect(came).toMatchObject({
      kind: "failed",
      failure: { message: expect.stringMatching(why) },
    });
  }
  const late: [readonly Uint8Array[], RegExp][] = [
    [[nonce, nonce], /out of turn/],
    [[nonce, letIn(16)], /out of turn/],
    [[nonce], /went away/],
    [[nonce, Buffer.concat([waiting, letIn(15)])], /makes no sense/],
    [[nonce, Buffer.concat([waiting, nonce])], /out of turn/],
    [
      [nonce, Buffer.concat(Array.from({ length: 6 }, () => waiting))],
      /nobody asked for|went away/,
    ],
    [[nonce, waiting], /went away/],
  ];
  for (const [given, why] of late) {
    [answers, heardFrames] = [given, 0];
    await expect(knock(at, as, quiet)).rejects.toThrow(why);
    expect(heardFrames).toBe(given.length);
  }
  answers = [nonce, Buffer.concat([waiting, waiting, letIn(16)])];
  expect((await knock(at, as, quiet)).kind).toBe("letIn");
}, 60_000);
