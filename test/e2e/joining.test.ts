import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAuthority, generateNodeKey, peerIdOf } from "../../src/mesh/identity.ts";
import { formatLink, newSecret } from "../../src/mesh/invitation.ts";
import { type KnockedNode, knock } from "../../src/mesh/knock.ts";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let desk: SpawnedNode;
const joined: Joined[] = [];

interface Joined {
  readonly store: string;
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  said(): string;
}

beforeAll(async () => {
  place = createPlace();
  desk = await startNode(place, ["--work-stealing", "--name", "desk", "--workers-min", "1"]);
});
afterAll(async () => {
  for (const { process } of joined) process.kill("SIGKILL");
  await Promise.all(joined.map(({ ended }) => ended));
  await desk.stop();
  place.remove();
});

const deskStore = () => join(place.folder, "node-store");
const mesh = (store: string, ...args: string[]) =>
  run(place, place.folder, "builder", ["mesh", ...args, "--store", store]);
const linkIn = (text: string) => /builder join '([^']+)'/.exec(text)?.[1] ?? "";

/** `builder join` in a process of its own, serving. */
async function joinAs(name: string, link: readonly string[]): Promise<Joined> {
  const store = join(place.folder, name);
  const flags = ["--store", store, "--name", name, "--coordinator", "127.0.0.1:0"];
  const args = ["join", ...link, ...flags, "--workers-min", "1"];
  const child = spawn(join(root, "cli/bin/builder"), args, { env: place.env });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const node = { store, process: child, ended, said: () => said };
  joined.push(node);
  await eventually("it serves", () => said.includes("service ready"), 60_000);
  return node;
}

const namesAt = async (store: string): Promise<string[]> => {
  const { stdout } = await mesh(store, "members", "--json");
  const members: { name: string; linked: boolean }[] = JSON.parse(stdout);
  return members.map(({ name }) => name).sort();
};

test("one pasted line, and both know each other; also after a kill, without a line", async () => {
  const first = await joinAs("laptop", [linkIn(desk.said())]);
  expect(first.said()).toContain('Member "laptop" of the mesh "desk"');
  for (const store of [deskStore(), first.store]) {
    await eventually("both are known", async () => (await namesAt(store)).length === 2, 60_000);
  }
  const doctor = await mesh(first.store, "doctor");
  expect(doctor.stdout).toMatch(/ok {2}"desk" answers within \d+ ms/);
  expect(doctor.code).toBe(0);

  const before = JSON.parse((await mesh(first.store, "info", "--json")).stdout);
  expect(before).toMatchObject({ name: "desk", node: "laptop", authority: false });
  first.process.kill("SIGKILL");
  await first.ended;
  const again = await joinAs("laptop", []);
  const after = JSON.parse((await mesh(again.store, "info", "--json")).stdout);
  expect(after.peer).toBe(before.peer);
});

test("an invitation counts its uses, and only who holds the key gives one out", async () => {
  const invited = await mesh(deskStore(), "invite", "--expires", "30m", "--qr");
  expect(invited.stdout).toMatch(/^One machine joins within 30m by running there:\n/);
  expect(invited.stdout).toMatch(/[█▀▄]{10}/);
  const link = linkIn(invited.stdout);
  const tablet = await joinAs("tablet", [link]);
  const store = join(place.folder, "late");
  const late = await run(place, place.folder, "builder", ["join", link, "--store", store]);
  expect(late.stderr).toMatch(/This invitation is used up.*builder mesh invite/);
  expect(late.code).toBe(3);
  expect(existsSync(join(store, "mesh", "membership.json"))).toBe(false);
  expect((await mesh(tablet.store, "invite")).stderr).toMatch(/does not hold the mesh's key/);
  const torn = await run(place, place.folder, "builder", ["join", link.slice(0, 80)]);
  expect(torn.stderr).toMatch(/That is no invitation. Copy the whole line/);
  expect(torn.code).toBe(2);

  const gone = await mesh(tablet.store, "leave");
  expect(gone.stdout).toContain('This machine is no member of "desk" any more.');
  expect(await tablet.ended).toBe(0);
  expect(existsSync(join(tablet.store, "mesh", "membership.json"))).toBe(false);
});

test("who is put out hears it, is cut off, and stays out", async () => {
  const bad = await joinAs("bad", [linkIn((await mesh(deskStore(), "invite")).stdout)]);
  await eventually("it is known", async () => (await namesAt(deskStore())).includes("bad"), 60_000);
  const revoked = await mesh(deskStore(), "revoke", "bad");
  expect(revoked.stdout).toMatch(/^bad is out of the mesh \(12D3KooW\w+\)\.$/m);
  await eventually("it hears it", () => bad.said().includes("bad was put out of the mesh"), 60_000);
  await eventually("it is gone", async () => !(await namesAt(deskStore())).includes("bad"), 60_000);
  const doctor = await mesh(bad.store, "doctor");
  expect(doctor.stdout).toMatch(/!! {2}This machine was put out of the mesh/);
  expect(doctor.code).toBe(1);
  const laptop = join(place.folder, "laptop");
  await eventually("others know", async () => !(await namesAt(laptop)).includes("bad"), 60_000);
});

test("a member without the key names who has it, and who knocks there is let in", async () => {
  const attic = await joinAs("attic", [linkIn((await mesh(deskStore(), "invite")).stdout)]);
  const placeOf = async (store: string): Promise<KnockedNode> => {
    const { id, peer, addresses } = JSON.parse((await mesh(store, "info", "--json")).stdout);
    const address = addresses[0].replace(/\/p2p\/.*/, "");
    return { meshId: Buffer.from(id, "base64url"), peer, address };
  };
  await eventually("they are linked", async () => {
    const { stdout } = await mesh(attic.store, "members", "--json");
    const members: { name: string; linked: boolean }[] = JSON.parse(stdout);
    return members.some(({ name, linked }) => name === "desk" && linked);
  });
  const told = Promise.withResolvers<string>();
  const on = { signal: new AbortController().signal, onCode: told.resolve };
  const as = { name: "tablet", software: "test" };
  const sent = await knock(await placeOf(attic.store), as, on);
  expect(sent).toEqual({ kind: "elsewhere", names: ["desk"] });

  const knocking = knock(await placeOf(deskStore()), as, on);
  const code = await told.promise;
  expect((await mesh(attic.store, "admit", code)).stderr).toMatch(/does not hold the mesh's key/);
  expect((await mesh(deskStore(), "admit", "12x")).stderr).toMatch(/A code has six digits/);
  const admitted = await mesh(deskStore(), "admit", `${code.slice(0, 2)}-${code.slice(2)}`);
  expect(admitted.stdout).toMatch(/^tablet at [\d.:a-f]+ is let in\./);
  expect((await knocking).kind).toBe("letIn");
  expect((await mesh(deskStore(), "admit")).stdout).toBe("Nobody knocks.\n");
  const { invites } = JSON.parse((await mesh(deskStore(), "info", "--json")).stdout);
  expect(invites).toContainEqual(expect.objectContaining({ role: "host", usesLeft: 1 }));
});

test("without a node the store answers; without a membership it says what to do", async () => {
  const nowhere = join(place.folder, "nowhere");
  const info = await mesh(nowhere, "info", "--coordinator", "127.0.0.1:1");
  expect(info.stderr).toMatch(/belongs to no mesh/);
  const doctor = await mesh(nowhere, "doctor", "--coordinator", "127.0.0.1:1");
  expect(doctor.stdout).toMatch(/^!! {2}.*belongs to no mesh.*builder mesh invite/);
  expect(doctor.code).toBe(1);
  const rejoin = await run(place, place.folder, "builder", ["join", "--store", nowhere]);
  expect(rejoin.stderr).toMatch(/belongs to no mesh that others are in/);
  const running = await run(place, place.folder, "builder", [
    ...["join", linkIn(desk.said()), "--store", deskStore()],
  ]);
  expect(running.stderr).toMatch(/A node runs on .* already \(process \d+\)/);
});

test("a machine that cannot join in time ends with code 4, and says why", async () => {
  const { meshId } = await createAuthority(join(place.folder, "away"));
  const peer = peerIdOf(await generateNodeKey());
  const secret = newSecret();
  // Nobody listens at this port.
  const addresses = ["/ip4/127.0.0.1/tcp/1"];
  const away = formatLink({ meshId, secret, expiresAtMs: Date.now() + 3_600_000, peer, addresses });
  const joinBy = (link: string, ...within: string[]) =>
    run(place, place.folder, "builder", [
      ...["join", link, "--store", join(place.folder, "lost"), "--coordinator", "127.0.0.1:0"],
      ...within,
    ]);
  for (const link of [away, "builder://join/nothing"]) {
    const ended = await joinBy(link, "--boot-join-within", "3s");
    expect(ended).toMatchObject({ code: 4, stderr: expect.stringContaining("did not join and") });
  }
  // People who join by hand hear the usual codes: of what is away, and of what is no invitation.
  expect((await joinBy(away)).code).toBe(3);
  expect((await joinBy("builder://join/nothing")).code).toBe(2);
});
