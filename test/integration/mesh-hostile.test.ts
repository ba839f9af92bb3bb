// Members that lie, flood and break off against a real serving node: each is named, and a build
// goes on beside it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../../src/mesh/identity.ts";
import { Envelope } from "../../src/wire/gen/builder/mesh/v1/mesh.ts";
import { encodeMessage, type PeerMessage } from "../../src/wire/mesh-codec.ts";
import { eventually } from "../support/eventually.ts";
import {
  type BlobLie,
  everything,
  flood,
  type HostileMember,
  type HostileOptions,
  lieAboutBlobs,
  loadOf,
  startHostile,
  type Victim,
  victimOf,
} from "../support/hostile-member.ts";
import { manyTargets } from "../support/many-targets.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";
import { digest, request } from "../support/right-inputs.ts";

/** What a build may take beside a flood, on a machine that does other things too, in ms. */
const buildMsMax = 90_000;
/** What the node may grow by, in MiB. */
const growthMax = 100;

let place: Place;
let node: SpawnedNode;
let victim: Victim;
const members: HostileMember[] = [];
let builds = 0;

beforeAll(async () => {
  place = createPlace();
  const store = join(place.folder, "node-store");
  const slots = ["--workers-min", "1", "--slots", "2"];
  node = await startNode(place, ["--mesh", "127.0.0.1:0", "--work-stealing", ...slots]);
  victim = await victimOf(place, node, store);
});
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.stop()));
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

async function hostile(options: HostileOptions = {}): Promise<HostileMember> {
  const member = await startHostile(victim, options);
  members.push(member);
  await member.link();
  return member;
}

/** A build of actions that nobody ran before: it succeeds and what it made is right. */
async function build(count = 10, seconds = 0.05): Promise<void> {
  builds += 1;
  const folder = place.workspace(manyTargets(count, seconds, `hostile ${builds}`));
  const startedMs = performance.now();
  const built = await run(place, folder, "bldr", ["build", "//...", `--remote=${node.address}`]);
  expect([built.code, built.stderr], node.said()).toEqual([0, ""]);
  expect(performance.now() - startedMs).toBeLessThan(buildMsMax);
  for (let at = 0; at < count; at += 1) {
    expect(readFileSync(join(folder, `made-${at}.txt`), "utf8")).toBe(`made ${at}\n`);
  }
}

/** Resident memory of the node, in MiB. */
function memory(): number {
  const status = readFileSync(`/proc/${node.process.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

const token = (seq: number, ingress = victim.peer) => ({ ingress, seq, hop: 0 });
const record = (at: number, version: number) => {
  const rest = { addresses: ["/ip4/127.0.0.1/tcp/9"], incarnation: 5, version, left: false };
  return { peer: `invented-${at}`, name: `i${at}`, ...rest };
};
const told = (count: number, version = 1): PeerMessage => {
  const list = Array.from({ length: count }, (_, at) => record(at, version));
  return { kind: "members", members: list, workStealing: true, workStealingVersion: 0 };
};

describe("what breaks the protocol ends the link, with name and reason", () => {
  const nothing = new Uint8Array();
  const hello = { certificate: nothing, sponsor: nothing, protocolMinor: 0, software: "" };
  const second = Envelope.encode({ message: { $case: "hello", value: hello } }).finish();
  const renew = (count: number): PeerMessage => {
    return { kind: "renew", tokens: Array.from({ length: count }, () => token(1)) };
  };
  const output = (length: number): PeerMessage => {
    const bytes = new Uint8Array(length);
    return { kind: "output", token: token(1), stream: "stdout", offset: 0, bytes };
  };
  const cases: [string, RegExp, (peer: string) => PeerMessage | Uint8Array, HostileOptions?][] = [
    ["bytes that are no message", /no Envelope/, () => new Uint8Array(50).fill(0xff)],
    [
      "a frame that is too large",
      /over 1048576 bytes/,
      () => new Uint8Array(1_200_000),
      { messageBytesMax: 2 << 20 },
    ],
    ["a second certificate", /a second Hello/, () => second],
    ["slots without end", /a Load's slots/, (peer) => loadOf(peer, { slots: 5000 })],
    ["more free slots than slots", /a Load's slots/, (peer) => loadOf(peer, { free: 9 })],
    ["the node as its home", /named another home/, () => loadOf(victim.peer)],
    ["too many members", /too many records/, () => told(1025)],
    ["too many tokens", /too many tokens/, () => renew(5000)],
    ["too much output", /too many bytes/, () => output(70_000)],
    [
      "a worker that leads",
      /a worker sent lease/,
      () => ({ kind: "lease", term: 1, rank: 0 }),
      { roles: ["worker"] },
    ],
  ];
  test.each(cases)("%s", async (_, reason, make, options) => {
    const member = await hostile(options);
    const made = make(member.peer);
    member.sendRaw(made instanceof Uint8Array ? made : encodeMessage(made));
    await eventually("it is cut off", () => !member.isLinked);
    const line = new RegExp(`${member.peer} is not let in for 1 s: .*${reason.source}`);
    await eventually(`${line} in ${node.said()}`, () => line.test(node.said()));
  });

  test("it may come back a moment later, and waits longer each time", async () => {
    const member = await hostile();
    for (const seconds of [1, 2, 4]) {
      const line = `${member.peer} is not let in for ${seconds} s`;
      // A link that is just being refused may look open from here: what counts is the answer.
      const provoke = async () => {
        if (await member.link(300)) member.sendRaw(new Uint8Array(50).fill(0xff));
        return node.said().includes(line);
      };
      await eventually(line, provoke, 60_000);
      await eventually("it is cut off", () => !member.isLinked);
    }
    await build(2);
  });

  test("somebody else's certificate", async () => {
    const authority = await createAuthority(victim.folder);
    const peerId = peerIdOf(await generateNodeKey());
    const times = { notBeforeMs: 0, notAfterMs: Date.now() + 60_000 };
    const certificate = await issueCertificate(authority, { peerId, roles: ["host"], ...times });
    const member = await startHostile(victim, { certificate });
    members.push(member);
    expect(await member.link(2000)).toBe(false);
    const line = new RegExp(`${member.peer} was not let in: .*it belongs to ${peerId}`);
    await eventually("it is named", () => line.test(node.said()));
  });
});

test("forged ends of others' actions count for nothing", async () => {
  const member = await hostile();
  member.send(loadOf(member.peer));
  const outcome = { kind: "result", response: digest, exitCode: 0, runMs: 1 } as const;
  const until = { over: false };
  // It is offered actions, and with their names says at once that all are done.
  member.onHeard = (message) => {
    if (message.kind !== "offer") return;
    for (let at = -3; at < 10; at += 1) {
      const near = token(Math.max(0, message.token.seq + at));
      member.send({ kind: "done", token: near, outcome }, { kind: "renew", tokens: [near] });
    }
  };
  const asking = flood(member, (nonce) => [{ kind: "steal", nonce, room: 4 }], until);
  await build(12, 0.2);
  until.over = true;
  await asking;
  expect(member.heard.some(({ kind }) => kind === "offer")).toBe(true);
  expect(member.heard.some(({ kind }) => kind === "bound")).toBe(false);
});

test("a worker that claims all it is offered and runs nothing delays a build by a lease", async () => {
  const member = await hostile();
  member.onHeard = (message) => {
    if (message.kind === "offer") member.send({ kind: "claim", token: message.token });
  };
  const until = { over: false };
  const next = (nonce: number): PeerMessage[] => [
    loadOf(member.peer),
    { kind: "steal", nonce, room: 8 },
  ];
  const asking = flood(member, next, until);
  await build(12, 0.2);
  until.over = true;
  await asking;
  expect(node.said()).toMatch(new RegExp(`${member.peer} did not renew action`));
});

describe("floods", () => {
  const offer = (seq: number): PeerMessage => {
    return { kind: "offer", token: token(seq, "mallory"), request, estimateMs: 1 };
  };
  const many = (make: (at: number) => PeerMessage) => (count: number) =>
    Array.from({ length: 50 }, (_, at) => make(count + at));
  const failure = { code: "INTERNAL", message: "x".repeat(4000) } as const;
  const done = (seq: number): PeerMessage => {
    return { kind: "done", token: token(seq), outcome: { kind: "fault", failure } };
  };
  const all = Array.from({ length: 4096 }, (_, seq) => seq);
  const load = (peer: string, at: number) => {
    const properties = { ...everything, at: [`${at}`] };
    return loadOf(peer, { slots: 4096, free: 4096, draining: at % 2 === 0, properties });
  };
  const output = (offset: number): PeerMessage => {
    const bytes = new Uint8Array(60_000);
    return { kind: "output", token: token(1), stream: "stdout", offset, bytes };
  };
  const revocation = { body: new Uint8Array(4000), signature: new Uint8Array(64) };
  const cases: [string, (peer: string) => (count: number) => PeerMessage[]][] = [
    ["claims of everything", () => many((seq) => ({ kind: "claim", token: token(seq) }))],
    ["ends of everything", () => many(done)],
    [
      "renewals of everything",
      () => () => [{ kind: "renew", tokens: all.map((seq) => token(seq)) }],
    ],
    ["offers", () => many(offer)],
    ["loads that change all the time", (peer) => many((at) => load(peer, at))],
    ["questions for work", () => many((nonce) => ({ kind: "steal", nonce, room: 8 }))],
    ["lifelines", () => many((at) => ({ kind: "lifeline", on: at % 2 === 0, room: 8 }))],
    ["probes", () => many(() => ({ kind: "probe", peer: victim.peer }))],
    ["leases of huge terms", () => many((at) => ({ kind: "lease", term: 2 ** 52 - at, rank: 0 }))],
    ["leases of growing terms", () => many((at) => ({ kind: "lease", term: at + 2, rank: 0 }))],
    ["invented members", () => (count) => [told(1024, count + 1)]],
    ["forged revocations", () => many(() => ({ kind: "revocation", ...revocation }))],
    ["output of nothing that runs", () => many(output)],
  ];
  test.each(cases)("%s", async (_, make) => {
    const member = await hostile();
    member.send(loadOf(member.peer));
    // Whoever it is asked about, it says to hear.
    member.onHeard = (message) => {
      if (message.kind !== "probe") return;
      member.send({ kind: "probed", peer: message.peer, linked: true });
    };
    const [before, said] = [memory(), node.said().length];
    const until = { over: false };
    const flooding = flood(member, make(member.peer), until);
    await build(6);
    until.over = true;
    expect(await flooding).toBeGreaterThan(0);
    expect(memory() - before).toBeLessThan(growthMax);
    // Lines, not a line for each message.
    const more = node.said().slice(said);
    expect(more.length, more.slice(0, 2000)).toBeLessThan(200_000);
  });
});

describe("a host that says to have every blob", () => {
  const lies: BlobLie[] = ["wrong bytes", "half a blob", "endless parts", "silence"];
  test.each(lies)("and answers with %s", async (lie) => {
    const [before, said] = [memory(), node.said().length];
    const member = await hostile();
    await lieAboutBlobs(member, lie);
    const isIn = () => /mallory is in the mesh/.test(node.said().slice(said));
    await eventually("it counts as a host", isIn);
    await build(3);
    await build(3);
    expect(memory() - before).toBeLessThan(growthMax);
    if (lie === "silence") return;
    const line = `Peer ${member.peer} is not asked for blobs for 60 s`;
    await eventually(`${line} in ${node.said()}`, () => node.said().includes(line));
  });
});
