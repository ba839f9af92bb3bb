import { beforeEach, expect, test } from "vitest";
import { MemoryActionCache, MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { buildTree, type TreeEntry, treeOf } from "../../../src/cas/merkle.ts";
import { createPeerFetch } from "../../../src/cas/peer-fetch.ts";
import type { ActionRequest, Outcome } from "../../../src/core/action.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { encodeBytes } from "../../../src/wire/encode.ts";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../../src/wire/reapi.ts";
import type { Executor } from "../../../src/worker/executor.ts";
import { createRemoteExecutor, type RemoteExecutor } from "../../../src/worker/remote-executor.ts";
import { createMemoryPeers, type MemoryPeers } from "../../support/memory-peers.ts";

let own: MemoryBlobStore;
let actions: MemoryActionCache;
let peers: MemoryPeers;
let hosts: string[];
let ran: Digest[];
let run: RemoteExecutor;

beforeEach(() => {
  own = new MemoryBlobStore();
  actions = new MemoryActionCache({ now: () => 0 });
  peers = createMemoryPeers(own, ["a", "b"]);
  hosts = ["home", "a", "b"];
  ran = [];
  run = remote(succeed);
});

function remote(execute: Executor): RemoteExecutor {
  const deps = { peerBlobs: peers, home: "home", store: own, actions, log: () => undefined };
  const fetcher = createPeerFetch({ peers, store: own, self: "home", hosts: () => hosts });
  return createRemoteExecutor(
    execute,
    { ...deps, fetcher, hosts: () => hosts, now: () => 0 },
    { replicate: true, tries: 2, pauseMs: 1 },
  );
}

/** Makes an output file and an output folder out of nothing, as an executor does. */
async function makeResult(): Promise<reapi.ActionResult> {
  const file = await own.put(Buffer.from("made"), "sha256");
  const inside = await own.put(Buffer.from("made inside"), "sha256");
  const entry: TreeEntry = { kind: "file", path: "d/f", digest: inside, executable: false };
  const tree = await own.put(treeOf(await buildTree([entry], "sha256")), "sha256");
  return reapi.ActionResult.fromPartial({
    outputFiles: [{ path: "o", digest: toWireDigest(file) }],
    outputDirectories: [{ path: "dir", treeDigest: toWireDigest(tree) }],
    stdoutDigest: toWireDigest(await own.put(Buffer.from("said"), "sha256")),
  });
}

const succeed: Executor = async (request) => {
  ran.push(request.action);
  const result = await makeResult();
  const bytes = encodeBytes(reapi.ActionResult, result);
  await actions.put({ instance: request.instance, action: request.action }, bytes);
  return respond(reapi.ExecuteResponse.fromPartial({ result }), 0);
};

async function respond(response: reapi.ExecuteResponse, exitCode: number): Promise<Outcome> {
  const digest = await own.put(encodeBytes(reapi.ExecuteResponse, response), "sha256");
  return { kind: "result", response: digest, exitCode, runMs: 1 };
}

/** An action with a tree of three levels, on a host. */
async function action(at: MemoryBlobStore): Promise<ActionRequest> {
  const entries: TreeEntry[] = [];
  for (const path of ["f", "x/g", "x/y/h", "z/h"]) {
    const digest = await at.put(Buffer.from(`input ${path}`), "sha256");
    entries.push({ kind: "file", path, digest, executable: false });
  }
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) await at.put(bytes, "sha256");
  const command = reapi.Command.fromPartial({ arguments: ["true"] });
  const commandDigest = await at.put(encodeBytes(reapi.Command, command), "sha256");
  const message = reapi.Action.fromPartial({
    commandDigest: toWireDigest(commandDigest),
    inputRootDigest: toWireDigest(tree.root),
  });
  const digest = await at.put(encodeBytes(reapi.Action, message), "sha256");
  const names = { instance: "", user: "u", invocation: "i", kind: "k" };
  const rest = { priority: 0, properties: {}, mayMerge: true, skipCacheLookup: false };
  return { action: digest, inputRoot: tree.root, ...names, ...rest };
}

const call = () => ({ signal: new AbortController().signal });

test("another host's action: inputs come in a few batches, all that was made goes back", async () => {
  const request = await action(peers.at("a").store);
  const outcome = await run(request, { ...call(), from: "a" });
  expect(outcome).toMatchObject({ kind: "result", exitCode: 0 });
  expect(peers.asked.filter((line) => line.startsWith("fetch"))).toEqual([
    ...["fetch 1 a", "fetch 2 a", "fetch 2 a", "fetch 1 a", "fetch 4 a"],
  ]);
  if (outcome.kind !== "result") throw new Error("It did not run.");
  const { store: there } = peers.at("a");
  const result = await makeResult();
  expect(await there.missing([outcome.response])).toEqual([]);
  for (const text of ["made", "made inside", "said"]) {
    expect(await there.missing([await own.put(Buffer.from(text), "sha256")])).toEqual([]);
  }
  const cached = await peers.at("a").actions.get({ instance: "", action: request.action });
  expect(reapi.ActionResult.decode(cached!.bytes)).toEqual(result);
});

test("what fetching and delivering took is told with what the executor spent", async () => {
  const request = await action(peers.at("a").store);
  const spent = { fetchMs: 0, setUpMs: 20, storeMs: 3000 };
  const slow: Executor = async () => {
    const response = reapi.ExecuteResponse.fromPartial({ result: await makeResult() });
    return { ...(await respond(response, 0)), spans: spent } as Outcome;
  };
  const outcome = await remote(slow)(request, { ...call(), from: "a" });
  if (outcome.kind !== "result") throw new Error("It did not run.");
  expect(outcome.spans?.setUpMs).toBe(20);
  expect(outcome.spans?.storeMs).toBeGreaterThanOrEqual(3000);
  expect(outcome.spans?.fetchMs).toBeGreaterThanOrEqual(0);
});

test("an ingress that lost an input leaves it to the executor to tell the client", async () => {
  const request = await action(peers.at("a").store);
  peers.at("a").store.delete(await digestOfText("input z/h"));
  const outcome = await run(request, { ...call(), from: "a" });
  expect(outcome.kind).toBe("result");
  expect(ran).toEqual([request.action]);
});

test("what the ingress lacks may be had from a third", async () => {
  const request = await action(peers.at("a").store);
  await action(peers.at("b").store);
  const lost = await digestOfText("input z/h");
  peers.at("a").store.delete(lost);
  await run(request, { ...call(), from: "a" });
  expect(await own.missing([lost])).toEqual([]);
});

async function digestOfText(text: string): Promise<Digest> {
  return new MemoryBlobStore().put(Buffer.from(text), "sha256");
}

test("an ingress that does not answer is a fault that names it, before anything runs", async () => {
  const request = await action(peers.at("a").store);
  peers.at("a").mood = "dead";
  const outcome = await run(request, { ...call(), from: "a" });
  expect(outcome).toMatchObject({
    kind: "fault",
    failure: { code: "UNAVAILABLE", message: expect.stringContaining("Peer a") },
  });
  expect(ran).toEqual([]);
});

test("an ingress that takes no outputs is a fault that names it", async () => {
  const request = await action(peers.at("a").store);
  for (const mood of ["full", "dead", "lying"] as const) {
    const dying: Executor = (...given) => {
      peers.at("a").mood = mood;
      return succeed(...given);
    };
    peers.at("a").mood = "well";
    const outcome = await remote(dying)(request, { ...call(), from: "a" });
    expect(outcome, mood).toMatchObject({
      kind: "fault",
      failure: { code: "UNAVAILABLE", message: expect.stringContaining("a: Peer a") },
    });
  }
});

test("a failure is delivered and not cached", async () => {
  const request = await action(peers.at("a").store);
  const failing = remote(async () => {
    const result = reapi.ActionResult.fromPartial({ exitCode: 1 });
    return respond(reapi.ExecuteResponse.fromPartial({ result }), 1);
  });
  const outcome = await failing(request, { ...call(), from: "a" });
  if (outcome.kind !== "result") throw new Error("It did not run.");
  expect(await peers.at("a").store.missing([outcome.response])).toEqual([]);
  expect(peers.asked.filter((line) => line.startsWith("result"))).toEqual([]);
});

test("alone, nobody is asked for anything", async () => {
  hosts = ["home"];
  await run(await action(own), call());
  await run(await action(own), { ...call(), from: "home" });
  expect(peers.asked).toEqual([]);
});

test("this host's own action gets what only another host has", async () => {
  const request = await action(peers.at("b").store);
  const outcome = await run(request, call());
  expect(outcome).toMatchObject({ kind: "result", exitCode: 0 });
  expect(await own.missing([await digestOfText("input x/y/h")])).toEqual([]);
});
