// Knocking, over real libp2p: who is let in, who is not, and what somebody in between gets.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { afterEach, expect, test } from "vitest";
import { failureOf } from "../../src/core/error.ts";
import { knockDefaults } from "../../src/core/knocks.ts";
import { readFrames } from "../../src/mesh/frame-reader.ts";
import { generateNodeKey } from "../../src/mesh/identity.ts";
import { formatLink } from "../../src/mesh/invitation.ts";
import { type KnockedNode, knock } from "../../src/mesh/knock.ts";
import { createKnockDoor, type KnockDoor } from "../../src/mesh/knock-door.ts";
import {
  type KnockAnswer,
  type KnockStep,
  knockProtocol,
  readKnockReply,
  readKnockRequest,
} from "../../src/mesh/knock-frames.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { newNonce, shortCode } from "../../src/mesh/short-code.ts";
import { createPeer, type Peer } from "../../src/mesh/transport.ts";
import { checkMayJoin } from "../../src/node/become-member.ts";
import { claimIdentity } from "../../src/node/enter-mesh.ts";
import { knockAround } from "../../src/node/knock-around.ts";
import { createMesh, enrol, type MeshState } from "../../src/node/mesh-state.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { eventually } from "../support/eventually.ts";

const loopback = ["/ip4/127.0.0.1/tcp/0"];
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "knocking-"));
  stops.push(() => rmSync(folder, { recursive: true }));
  return join(folder, "mesh");
}

async function newPeer(listen: readonly string[] = []): Promise<Peer> {
  const peer = await createPeer(await generateNodeKey(), listen);
  stops.push(() => peer.stop());
  return peer;
}

interface Running {
  readonly state: MeshState;
  readonly host: MeshHost;
  readonly door: KnockDoor;
  readonly log: string[];
  readonly at: KnockedNode;
}

/** A member with a door. */
async function start(state: MeshState, now = Date.now): Promise<Running> {
  const log: string[] = [];
  const write = (_: string, text: string) => log.push(text);
  const { meshId } = state.credential;
  const expiresInMs = knockDefaults.waitMs;
  const invite = () => state.invites.create({ role: "host", uses: 1, expiresInMs }).secret;
  const door = createKnockDoor({
    ...{ meshId, log: write, now },
    invite: state.authority === undefined ? undefined : invite,
    admins: () => host.peers().flatMap((peer) => host.memberOf(peer)?.name ?? []),
  });
  const nothing = () => undefined;
  const events = { linked: nothing, unlinked: nothing, undialled: nothing, message: nothing };
  const host = await startMeshHost(
    { events, log: write, now: Date.now, admit: state.admission(() => []), door },
    { ...lanLinkOptions, ...state.credential, listen: loopback, software: "test" },
  );
  stops.push(() => host.stop());
  const address = host.addresses()[0]!.replace(/\/p2p\/.*/, "");
  return { state, host, door, log, at: { meshId, peer: host.peerId, address } };
}

const startDesk = async () =>
  start(await createMesh(newFolder(), { name: "desk", meshName: "home", now: Date.now }));

/** Somebody knocks; its code, and what becomes of it. */
async function knockAt(at: KnockedNode, name = "laptop", signal = new AbortController().signal) {
  const code = Promise.withResolvers<string>();
  const came = knock(at, { name, software: "test" }, { signal, onCode: code.resolve });
  const end = came.then(
    (knocked) => knocked.kind,
    (error: unknown) => failureOf(error).message,
  );
  const told = await Promise.race([
    code.promise,
    end.then((why) => Promise.reject(new Error(why))),
  ]);
  return { code: told, came, end };
}

const heard = ({ host, state, at }: Running) => ({
  ...{ meshName: "home", meshId: Buffer.from(at.meshId).toString("base64url"), tls: false },
  ...{ node: state.self.name, peer: host.peerId, host: "127.0.0.1", remotePort: 0 },
  port: Number(/\/tcp\/(\d+)/.exec(at.address)?.[1]),
});

/** The mesh `home` as these nodes of it are heard. */
const heardMesh = (...nodes: ReturnType<typeof heard>[]) => ({
  ...{ name: "home", id: nodes[0]!.meshId, nodes },
});

test("who types the code lets that machine in, and it becomes a member as by an invitation", async () => {
  const desk = await startDesk();
  const told = Promise.withResolvers<string>();
  const onCode = (code: string, node: string) => told.resolve(`${node} ${code}`);
  const { signal } = new AbortController();
  const knocking = knockAround(heardMesh(heard(desk)), "laptop", { signal, onCode });
  const [node, code = ""] = (await told.promise).split(" ");
  expect(node).toBe("desk");
  const ours = { name: "laptop", address: "127.0.0.1", peer: expect.any(String) };
  expect(desk.door.waiting()).toEqual([{ ...ours, ageMs: expect.any(Number) }]);
  expect(desk.log.join("\n")).toMatch(/laptop at 127.0.0.1 knocks.*builder mesh admit CODE/);
  expect(desk.log.join("\n")).not.toContain(code);
  expect(desk.door.admit(`${code.slice(0, 3)} ${code.slice(3)}`)).toEqual(ours);
  const { link } = await knocking;
  const laptop = await enrol(link, { folder: newFolder(), name: "laptop", now: Date.now });
  expect(laptop.self).toMatchObject({ name: "laptop", roles: ["host"], sponsor: undefined });
  expect(laptop.authority).toBeUndefined();
  expect(desk.state.admitted()).toMatchObject([{ name: "laptop", role: "host" }]);
  // What it got was for it alone.
  const again = enrol(link, { folder: newFolder(), name: "thief", now: Date.now });
  await expect(again).rejects.toThrow(/used up/);
  const running = await start(laptop);
  running.host.dial(desk.host.peerId, desk.host.addresses());
  await eventually("they link", () => desk.host.peers().includes(laptop.self.peerId));
});

test("a store that could not join is told before anybody is asked to let it in", async () => {
  const desk = await startDesk();
  const other = (await startDesk()).at.meshId;
  const id = (meshId: Uint8Array) => Buffer.from(meshId).toString("base64url");
  const storeOf = (folder: string) => dirname(folder);
  const { secret } = desk.state.invites.create({ role: "host", uses: 1, expiresInMs: 60_000 });
  const link = { expiresAtMs: 0, addresses: [desk.at.address], secret };
  const text = formatLink({ ...link, meshId: desk.at.meshId, peer: desk.at.peer });
  const { folder } = await enrol(text, { folder: newFolder(), name: "a", now: Date.now });
  checkMayJoin(storeOf(newFolder()), id(other));
  checkMayJoin(storeOf(folder), id(desk.at.meshId));
  expect(() => checkMayJoin(storeOf(folder), id(other))).toThrow(/belongs to another mesh/);
  const release = claimIdentity(folder);
  expect(() => checkMayJoin(storeOf(folder), id(desk.at.meshId))).toThrow(/A node runs on/);
  release?.();
  const alone = newFolder();
  await createMesh(alone, { name: "x", meshName: "x", now: Date.now });
  checkMayJoin(storeOf(alone), id(other));
});

test("a wrong code lets nobody in, and the third ends every knock", async () => {
  const desk = await startDesk();
  const [a, b] = [await knockAt(desk.at, "a"), await knockAt(desk.at, "b")];
  const wrong = [1, 2, 3, 4].map((n) => `${n}`.padStart(6, "0")).filter((code) => code !== a.code);
  const typed = wrong.filter((code) => code !== b.code).slice(0, knockDefaults.wrongCodesMax);
  const codes = typed.map((code) => {
    try {
      return desk.door.admit(code).name;
    } catch (error) {
      return failureOf(error).code;
    }
  });
  expect(codes).toEqual(["INVALID_ARGUMENT", "INVALID_ARGUMENT", "ABORTED"]);
  expect(await a.end).toMatch(/every knock was ended. Knock again/);
  expect(await b.end).toMatch(/every knock was ended/);
  expect(() => desk.door.admit(a.code)).toThrow(/Nobody knocks/);
  expect(desk.state.invites.open()).toEqual([]);
});

test("who goes away knocks no more, and who waits for too long is told", async () => {
  let offMs = 0;
  const state = await createMesh(newFolder(), { name: "desk", meshName: "home", now: Date.now });
  const desk = await start(state, () => Date.now() + offMs);
  const quitting = new AbortController();
  const gone = await knockAt(desk.at, "gone", quitting.signal);
  quitting.abort();
  await expect(gone.came).rejects.toMatchObject({ code: "CANCELLED" });
  await eventually("it is forgotten", () => desk.door.waiting().length === 0);
  expect(() => desk.door.admit(gone.code)).toThrow(/Nobody knocks/);

  const late = await knockAt(desk.at, "late");
  offMs = knockDefaults.waitMs;
  expect(await late.end).toMatch(/Nobody let this machine in within 10 minutes/);
  const left = await knockAt(desk.at, "left");
  await desk.host.stop();
  expect(await left.end).toMatch(/went away before it let this machine in/);
});

test("somebody who passes everything on gets one code at each end, and they differ", async () => {
  const desk = await startDesk();
  const between = await newPeer(loopback);
  const nonces: Uint8Array[] = [];
  await between.handle(knockProtocol, (stream) => void passOn(stream));
  async function passOn(newcomer: Stream): Promise<void> {
    const to = multiaddr(`${desk.at.address}/p2p/${desk.at.peer}`);
    const toNewcomer = readFrames(newcomer, 1024);
    const toDesk = await between.dialProtocol(to, knockProtocol);
    const [up, down] = [toNewcomer, readFrames(toDesk, 8192)];
    const note = ({ $case, value }: KnockAnswer | KnockStep) => {
      if (($case === "nonce" || $case === "reveal") && "nonce" in value) nonces.push(value.nonce);
    };
    for (let turn = 0; turn < 2; turn += 1) {
      const asked = await up.next(10_000);
      note(readKnockRequest(asked));
      toDesk.send(encodeFrame(asked));
      const answered = await down.next(10_000);
      note(readKnockReply(answered));
      newcomer.send(encodeFrame(answered));
    }
  }
  const lie = { ...desk.at, peer: between.peerId.toString() };
  const address = between
    .getMultiaddrs()[0]!
    .toString()
    .replace(/\/p2p\/.*/, "");
  const knocked = await knockAt({ ...lie, address });
  const [waiting] = desk.door.waiting();
  expect(waiting?.peer).toBe(between.peerId.toString());
  const [nodeNonce = newNonce(), newcomerNonce = newNonce()] = nonces;
  const sides = { newcomer: between.peerId.toString(), node: desk.at.peer };
  const atDesk = shortCode({ meshId: desk.at.meshId, ...sides, nodeNonce, newcomerNonce });
  expect(knocked.code).not.toBe(atDesk);
  expect(() => desk.door.admit(knocked.code)).toThrow(/somebody is in between/);
  // It really was that code which the desk waited for.
  expect(desk.door.admit(atDesk).peer).toBe(between.peerId.toString());
});

test("a member that lets nobody in names who does, and the newcomer knocks there", async () => {
  const desk = await startDesk();
  const { secret } = desk.state.invites.create({ role: "host", uses: 1, expiresInMs: 60_000 });
  const link = { expiresAtMs: 0, addresses: [desk.at.address], secret };
  const text = formatLink({ ...link, meshId: desk.at.meshId, peer: desk.at.peer });
  const attic = await start(
    await enrol(text, { folder: newFolder(), name: "attic", now: Date.now }),
  );
  attic.host.dial(desk.host.peerId, desk.host.addresses());
  await eventually("they link", () => attic.host.peers().includes(desk.host.peerId));
  const { signal } = new AbortController();
  const told = Promise.withResolvers<string>();
  const onCode = (code: string, node: string) => {
    expect(node).toBe("desk");
    told.resolve(code);
  };
  const both = knockAround(heardMesh(heard(attic), heard(desk)), "laptop", { signal, onCode });
  desk.door.admit(await told.promise);
  expect((await both).node).toBe("desk");

  const alone = knockAround(heardMesh(heard(attic)), "laptop", { signal, onCode });
  await expect(alone).rejects.toThrow(/desk holds its key and does not answer.*mesh invite/);
  const away = { ...heard(desk), port: 1 };
  const neither = knockAround(heardMesh(away, heard(attic)), "laptop", { signal, onCode });
  await expect(neither).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  const foreign = { ...heard(desk), meshId: "AAAA" };
  await expect(knockAround(heardMesh(foreign), "x", { signal, onCode })).rejects.toThrow(
    /is of another mesh by now/,
  );
  expect(desk.log.filter((line) => /knocks\./.test(line))).toHaveLength(1);
});
