import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { askHow, joinBounds } from "../../src/mesh/enrolment.ts";
import { generateNodeKey, peerIdOf } from "../../src/mesh/identity.ts";
import { formatLink, parseLink } from "../../src/mesh/invitation.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../../src/mesh/mesh-host.ts";
import { examineMesh } from "../../src/node/mesh-doctor.ts";
import {
  createMesh,
  enrol,
  type MeshState,
  type NodeCredential,
  openMeshState,
} from "../../src/node/mesh-state.ts";
import { eventually } from "../support/eventually.ts";

const folders: string[] = [];
const hosts: MeshHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "joining-"));
  folders.push(folder);
  return join(folder, "mesh");
}

const day = 86_400_000;
const named = { name: "desk", meshName: "home", now: Date.now };

interface Running {
  readonly state: MeshState;
  readonly host: MeshHost;
  readonly linked: Set<string>;
  readonly log: string[];
}

/** A member on a port of its own. */
async function start(
  state: MeshState,
  given: { now?: () => number; credential?: NodeCredential; listen?: boolean } = {},
): Promise<Running> {
  const linked = new Set<string>();
  const log: string[] = [];
  const host = await startMeshHost(
    {
      events: {
        linked: (peer) => linked.add(peer),
        unlinked: (peer) => linked.delete(peer),
        undialled: () => undefined,
        message: () => undefined,
      },
      log: (_, text) => log.push(text),
      now: given.now ?? Date.now,
      isRevoked: state.revocations.isRevoked,
      admit: state.admission(() =>
        [{ peer: state.self.peerId, name: state.self.name, addresses: host.addresses() }].map(
          (record) => ({ ...record, incarnation: 1, version: 1, left: false }),
        ),
      ),
    },
    {
      ...lanLinkOptions,
      ...(given.credential ?? state.credential),
      listen: given.listen === false ? [] : ["/ip4/127.0.0.1/tcp/0"],
      software: "test",
    },
  );
  hosts.push(host);
  return { state, host, linked, log };
}

/** Dials now; after a refusal nobody dials again here. */
function dial(from: Running, peer: string, addresses: readonly string[]): void {
  from.host.dial(peer, addresses);
}

function linkOf({ state, host }: Running, given: { uses?: number; expiresInMs?: number } = {}) {
  const what = { role: "host" as const, uses: 1, expiresInMs: 3_600_000, ...given };
  const { secret, expiresAtMs } = state.invites.create(what);
  const { meshId } = state.credential;
  return formatLink({
    ...{ meshId, secret, expiresAtMs },
    peer: host.peerId,
    addresses: host.addresses(),
  });
}

const joinAs = (link: string, name = "laptop", now = Date.now) =>
  enrol(link, { folder: newFolder(), name, now });

test("one link makes a member, whose identity and membership survive a restart", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const folder = newFolder();
  const joined = await enrol(linkOf(desk), { folder, name: "laptop", now: Date.now });
  expect(joined.settings().name).toBe("home");
  expect(joined.self).toMatchObject({ name: "laptop", roles: ["host"], sponsor: undefined });
  expect(joined.authority).toBeUndefined();
  expect(desk.state.admitted()).toMatchObject([{ name: "laptop", peer: joined.self.peerId }]);
  for (const file of ["node.key", "membership.json"]) {
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(folder).mode & 0o777).toBe(0o700);

  const again = (await openMeshState(folder, Date.now))!;
  expect(again.self.peerId).toBe(joined.self.peerId);
  const laptop = await start(again);
  dial(laptop, again.members()[0]!.peer, again.members()[0]!.addresses);
  await eventually("linked", () => desk.linked.has(again.self.peerId));

  const restarted = (await openMeshState(desk.state.folder, Date.now))!;
  expect(restarted.self.peerId).toBe(desk.host.peerId);
  expect(restarted.authority?.meshId).toEqual(desk.state.authority?.meshId);
});

test("a link serves as often as it says, and its owner may ask again", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const link = linkOf(desk);
  const folder = newFolder();
  const first = await enrol(link, { folder, name: "a", now: Date.now });
  const second = await enrol(link, { folder, name: "a", now: Date.now });
  expect(second.self.peerId).toBe(first.self.peerId);
  await expect(joinAs(link)).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    message: expect.stringMatching(/used up.*builder mesh invite/),
  });
});

test("expired, forged and foreign links are refused with the reason", async () => {
  let nowMs = Date.now();
  const state = await createMesh(newFolder(), { ...named, now: () => nowMs });
  const desk = await start(state);
  const link = linkOf(desk);
  const wrong = { ...parseLink(link), secret: new Uint8Array(16) };
  await expect(joinAs(formatLink(wrong))).rejects.toThrow(/is not known here/);
  nowMs += 2 * 3_600_000;
  await expect(joinAs(link)).rejects.toThrow(/has expired/);

  // The secret of one mesh under the name of another: the certificate gives it away.
  const other = await createMesh(newFolder(), named);
  const tampered = { ...parseLink(linkOf(desk)), meshId: other.credential.meshId };
  await expect(joinAs(formatLink(tampered))).rejects.toThrow(/not signed by this mesh/);
  // Somebody else at the address: Noise does not open, the secret stays here.
  const peer = peerIdOf(await generateNodeKey());
  await expect(joinAs(formatLink({ ...parseLink(linkOf(desk)), peer }))).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});

test("whoever guesses is slowed down", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const wrong = formatLink({ ...parseLink(linkOf(desk)), secret: new Uint8Array(16) });
  for (let tries = 0; tries < joinBounds.triesPerMinute; tries += 1) {
    await expect(joinAs(wrong)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  }
  await expect(joinAs(linkOf(desk))).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test("a worker links by its host's word, and falls with its host", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const laptop = await joinAs(linkOf(desk));
  const worker = await start(laptop, {
    credential: await laptop.sponsorWorker("worker-1"),
    listen: false,
  });
  dial(worker, desk.host.peerId, desk.host.addresses());
  await eventually("worker linked", () => desk.linked.has(worker.host.peerId));

  await desk.state.revoke(laptop.self.peerId);
  desk.host.recheck();
  await eventually("cut off", () => !worker.linked.has(desk.host.peerId));
  dial(worker, desk.host.peerId, desk.host.addresses());
  await eventually("refused", () => desk.log.some((line) => /it was revoked/.test(line)));
  expect(desk.linked.size).toBe(0);
});

test("a revoked member is refused until it is invited anew; a third one believes the word", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const folder = newFolder();
  const link = linkOf(desk, { uses: 5 });
  const bad = await enrol(link, { folder, name: "bad", now: Date.now });
  const third = await start(await joinAs(linkOf(desk)));
  const signed = await desk.state.revoke(bad.self.peerId);
  expect(await third.state.revocations.take(signed)).toBe(bad.self.peerId);
  expect(await third.state.revocations.take(signed)).toBeUndefined();
  const kept = (await openMeshState(third.state.folder, Date.now))!;
  expect(kept.revocations.all()).toHaveLength(1);

  const running = await start(bad, { listen: false });
  dial(running, third.host.peerId, third.host.addresses());
  await eventually("refused", () => third.log.some((line) => /it was revoked/.test(line)));

  const forged = { ...signed, body: Uint8Array.from(signed.body, (byte) => byte ^ 1) };
  expect(await third.state.revocations.take(forged)).toBeUndefined();
  await expect(third.state.revoke(desk.host.peerId)).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
  });

  // It knows that secret, so it ends with it: for the same key, and for a new one.
  for (const as of [folder, newFolder()]) {
    const again = enrol(link, { folder: as, name: "bad", now: Date.now });
    await expect(again).rejects.toThrow(/is used up/);
  }
  const anew = await enrol(linkOf(desk), { folder, name: "good", now: Date.now });
  expect(anew.self.peerId).toBe(bad.self.peerId);
  expect(third.state.revocations.isRevoked(anew.self.peerId, anew.self.notBeforeMs)).toBe(false);
});

test("a clock that is two days off joins and links all the same", async () => {
  for (const offMs of [-2 * day, 2 * day]) {
    const desk = await start(await createMesh(newFolder(), named));
    const now = () => Date.now() + offMs;
    const laptop = await joinAs(linkOf(desk), "laptop", now);
    const running = await start(laptop, { now });
    dial(running, desk.host.peerId, desk.host.addresses());
    await eventually("linked", () => desk.linked.has(laptop.self.peerId));
    const credential = await laptop.sponsorWorker("worker-1");
    const worker = await start(laptop, { credential, now });
    dial(worker, desk.host.peerId, desk.host.addresses());
    await eventually("worker linked", () => desk.linked.has(worker.host.peerId));
  }
});

test("who may not let others in says so, and everybody tells the time", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const laptop = await start(await joinAs(linkOf(desk)), { now: () => Date.now() + 2 * day });
  const link = { ...parseLink(linkOf(desk)), peer: laptop.host.peerId };
  const misled = formatLink({ ...link, addresses: laptop.host.addresses() });
  await expect(joinAs(misled)).rejects.toThrow(/does not hold the mesh's key/);
  const [peer, addresses] = [laptop.host.peerId, laptop.host.addresses()];
  const answer = await askHow({ peer, addresses }, "test");
  expect(Math.abs(answer.nowMs - Date.now() - 2 * day)).toBeLessThan(60_000);
  const state = desk.state;
  state.saveMembers([{ peer, name: "laptop", addresses, incarnation: 1, version: 1, left: false }]);
  const store = dirname(state.folder);
  const found = await examineMesh({ store, now: Date.now });
  const wrong = found.filter(({ isFine }) => !isFine).map(({ text }) => text);
  expect(wrong).toEqual([
    expect.stringMatching(/No node runs here/),
    expect.stringMatching(/clock of "laptop" is 17280\d s ahead/),
    expect.stringMatching(/"laptop" runs test, this machine builder/),
  ]);
  await laptop.host.stop();
  const gone = await examineMesh({ store, now: () => Date.now() + 6 * 365 * day });
  const sentences = gone.map(({ text }) => text).join("\n");
  expect(sentences).toMatch(/"laptop" cannot be reached: The mesh does not answer at/);
  expect(sentences).toMatch(/is a member of "home"/);
});

test("an invitation for an admin hands the key over: the mesh outlives its first node", async () => {
  const desk = await start(await createMesh(newFolder(), named));
  const { secret, expiresAtMs } = desk.state.invites.create({
    role: "admin",
    uses: 1,
    expiresInMs: 60_000,
  });
  const { meshId } = desk.state.credential;
  const [peer, addresses] = [desk.host.peerId, desk.host.addresses()];
  const second = await joinAs(formatLink({ meshId, secret, expiresAtMs, peer, addresses }));
  expect(second.self.roles).toEqual(["host", "admin"]);
  const laptop = await start((await openMeshState(second.folder, Date.now))!);
  await desk.host.stop();
  expect((await joinAs(linkOf(laptop), "third")).credential.meshId).toEqual(meshId);
});

test("damaged files are named with what to do; a store of another mesh is not taken over", async () => {
  const state = await createMesh(newFolder(), named);
  const desk = await start(state);
  const joined = await joinAs(linkOf(desk));
  const other = await start(await createMesh(newFolder(), named));
  const again = { folder: joined.folder, name: "x", now: Date.now };
  await expect(enrol(linkOf(other), again)).rejects.toThrow(/belongs to another mesh.*leave/);
  joined.leave();
  await enrol(linkOf(other), again);

  // A mesh that nobody joined is given up for the one that invites.
  const alone = await createMesh(newFolder(), named);
  const moved = await enrol(linkOf(other), { ...again, folder: alone.folder });
  expect(moved.credential.meshId).toEqual(other.state.credential.meshId);
  expect(moved.authority).toBeUndefined();

  for (const [file, content] of [
    ["membership.json", "{"],
    ["membership.json", "[]"],
    ["revocations.json", '{"revoked":[{"body":"%"}]}'],
  ] as const) {
    const path = join(state.folder, file);
    const before = file === "membership.json" ? readFileSync(path) : undefined;
    writeFileSync(path, content);
    await expect(openMeshState(state.folder, Date.now)).rejects.toMatchObject({
      code: "DATA_LOSS",
      message: expect.stringContaining(path),
    });
    if (before !== undefined) writeFileSync(path, before);
  }
});
