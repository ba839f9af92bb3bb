// Hosts that die with all they have made: an action that needs it has it made again by the host
// that is left, and its client, which knows nothing of hosts, sees a longer wait.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf } from "../../src/cas/hash.ts";
import { ownersAmong } from "../../src/core/blob-owners.ts";
import type { Digest } from "../../src/core/digest.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../../src/wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { formatBlobPath } from "../../src/wire/reapi.ts";
import { missingDigests } from "../../src/wire/status.ts";
import { eventually } from "../support/eventually.ts";
import { all, callsOf, wire } from "../support/grpc-calls.ts";
import {
  createPlace,
  type Place,
  run,
  type SpawnedNode,
  startNode,
  startServing,
} from "../support/programs.ts";

const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const cache = grpcDefinition(reapi.ActionCacheDefinition);
const bytes = grpcDefinition(ByteStreamDefinition);

let place: Place;
let desk: SpawnedNode;
const others: SpawnedNode[] = [];
const clients: Client[] = [];

/** An action with all that a client sends for it. */
interface Sent {
  readonly action: Digest;
  readonly blobs: readonly Uint8Array[];
}

/** `command` as a shell line over these files; it makes `out`. */
async function actionOf(command: string, inputs: Readonly<Record<string, Digest>>): Promise<Sent> {
  const files = Object.entries(inputs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, digest]) => ({ name, digest: wire(digest) }));
  const root = reapi.Directory.encode(reapi.Directory.fromPartial({ files })).finish();
  const said = { arguments: ["/bin/sh", "-ec", command], outputPaths: ["out"] };
  const words = reapi.Command.encode(reapi.Command.fromPartial(said)).finish();
  const message = reapi.Action.fromPartial({
    commandDigest: wire(await digestOf(words, "sha256")),
    inputRootDigest: wire(await digestOf(root, "sha256")),
  });
  const action = reapi.Action.encode(message).finish();
  return { action: await digestOf(action, "sha256"), blobs: [root, words, action] };
}

/** A client of one node, over one connection. */
function clientOf(node: SpawnedNode) {
  const client = new Client(node.address, credentials.createInsecure());
  clients.push(client);
  const { call, stream } = callsOf(client);
  const send = async (blobs: readonly Uint8Array[]) => {
    const named = blobs.map(async (data) => ({
      digest: wire(await digestOf(data, "sha256")),
      data,
    }));
    const request = reapi.BatchUpdateBlobsRequest.fromPartial({
      requests: await Promise.all(named),
    });
    const { responses } = await call(cas.batchUpdateBlobs, request);
    expect(responses.map(({ status }) => status?.code)).toEqual(blobs.map(() => 0));
  };
  const execute = async ({ action, blobs }: Sent): Promise<reapi.ExecuteResponse> => {
    await send(blobs);
    const request = reapi.ExecuteRequest.fromPartial({ actionDigest: wire(action) });
    const last = (await all(stream(execution.execute, request))).at(-1);
    if (last?.result?.$case !== "response") throw new Error("it did not end with a response");
    return reapi.ExecuteResponse.decode(last.result.value.value);
  };
  const read = async (digest: Digest) => {
    const request = { resourceName: formatBlobPath(digest), readOffset: 0, readLimit: 0 };
    const parts = await all(stream(bytes.read, request));
    return Buffer.concat(parts.map(({ data }) => data)).toString();
  };
  const missing = async (digests: readonly Digest[]) => {
    const request = reapi.FindMissingBlobsRequest.fromPartial({ blobDigests: digests.map(wire) });
    return (await call(cas.findMissingBlobs, request)).missingBlobDigests;
  };
  const workerOf = async (action: Digest) => {
    const request = reapi.GetActionResultRequest.fromPartial({ actionDigest: wire(action) });
    return (await call(cache.getActionResult, request)).executionMetadata?.worker ?? "";
  };
  return { send, execute, read, missing, workerOf };
}

/** The only output of a successful result. */
function outputOf({ result, status, message }: reapi.ExecuteResponse): Digest {
  expect([status?.code ?? 0, status?.message ?? "", result?.exitCode, message]).toEqual([
    ...[0, "", 0, ""],
  ]);
  const digest = result?.outputFiles[0]?.digest;
  if (digest === undefined) throw new Error("it has no output");
  return { fn: "sha256", ...digest };
}

/** Names of the hosts that a node takes for alive, with their peer ids. */
async function aliveAt(node: SpawnedNode): Promise<Map<string, string>> {
  const args = ["remote", "status", "--json", "--coordinator", node.address];
  const { stdout } = await run(place, "/", "builder", args);
  const members: { name: string; peer: string; state: string }[] = JSON.parse(stdout).members;
  const alive = members.filter(({ state }) => state === "alive");
  return new Map(alive.map(({ name, peer }) => [name, peer]));
}

const source = Buffer.from("made of this\n");
/** What the actions make of it: over 4 KB, so a file of its own. */
const made = Array.from({ length: 2000 }, (_, at) => `${at + 1}\n`).join("") + source;
const made2 = `2\n${made}`;

/** What the two hosts made that are dead by now, as the desk's client was told. */
const lost: Record<"plain" | "chained" | "read" | "asked" | "random", Digest> = {} as typeof lost;
const makers: Record<string, Digest> = {};
let client: ReturnType<typeof clientOf>;

beforeAll(async () => {
  place = createPlace();
  desk = await startNode(place, ["--work-stealing", "--name", "desk", "--workers-min", "1"]);
  const link = /builder join '([^']+)'/.exec(desk.said())?.[1] ?? "";
  for (const name of ["attic", "cellar"]) {
    const flags = ["--name", name, "--workers-min", "1", "--coordinator", "127.0.0.1:0"];
    const store = ["--store", join(place.folder, name)];
    others.push(await startServing(place, ["join", link, ...flags, ...store]));
  }
  const nodes = [desk, ...others];
  const seen = async () => {
    const views = await Promise.all(nodes.map(aliveAt));
    return views.every(({ size }) => size === 3) ? views[0] : undefined;
  };
  const peers = await eventually("all see each other", seen, 120_000);
  const [attic] = others.map(clientOf);
  client = clientOf(desk);

  /** Has an action run at the attic, so that the desk has its result told and no output of it. */
  async function makeElsewhere(name: keyof typeof lost, command: string, input: Digest) {
    for (let salt = 0; ; salt += 1) {
      const sent = await actionOf(`${command} # ${name} ${salt}`, { in: input });
      const owners = ownersAmong(sent.action, [...peers.values()]);
      if (owners.includes(peers.get("desk") ?? "")) continue;
      await attic?.send([source]);
      const ran = await attic?.execute(sent);
      if (ran === undefined || !ran.result?.executionMetadata?.worker.startsWith("attic")) continue;
      await client.send([source]);
      const told = await client.execute(sent);
      // Where the attic was too slow to answer, the desk made it itself.
      if (!told.cachedResult) continue;
      lost[name] = outputOf(told);
      makers[name] = sent.action;
      return;
    }
  }

  const sourceDigest = await digestOf(source, "sha256");
  const makes = (first: string) => `{ ${first}seq 1 2000; cat in; } > out`;
  await makeElsewhere("plain", makes("echo plain; "), sourceDigest);
  await makeElsewhere("chained", "{ echo 2; tail -n +2 in; } > out", lost.plain);
  await makeElsewhere("read", makes("echo read; "), sourceDigest);
  await makeElsewhere("asked", makes("echo asked; "), sourceDigest);
  await makeElsewhere("random", makes("cat /proc/sys/kernel/random/uuid; "), sourceDigest);

  for (const { process } of others) process.kill("SIGKILL");
  for (const name of ["attic", "cellar"]) {
    // Its workers end a moment later, and write until then.
    const gone = () => {
      rmSync(join(place.folder, name), { recursive: true, force: true });
      return true;
    };
    await eventually(`what ${name} had is gone`, () => {
      try {
        return gone();
      } catch {
        return false;
      }
    });
  }
}, 300_000);
afterAll(async () => {
  for (const each of clients) each.close();
  await desk.stop();
  place.remove();
});

const againOf = (action: Digest | undefined) =>
  desk.said().split(`Action ${action?.hash} runs again`).length - 1;

test("an action whose input died with its hosts succeeds: what made it ran again, once", async () => {
  const b = await actionOf("cat in in > out", { in: lost.chained });
  expect(await client.read(outputOf(await client.execute(b)))).toBe(made2 + made2);
  // The one that made it needed what the first one made.
  expect([againOf(makers["plain"]), againOf(makers["chained"])]).toEqual([1, 1]);
  expect(await client.workerOf(makers["chained"] as Digest)).toMatch(/^desk/);
}, 180_000);

test("a client that reads what is lost gets it, and one that asks for it hears that it is there", async () => {
  expect(await client.read(lost.read)).toBe(`read\n${made}`);
  expect(await client.missing([lost.asked, { ...lost.asked, hash: "0".repeat(64) }])).toEqual([
    { hash: "0".repeat(64), sizeBytes: lost.asked.sizeBytes },
  ]);
  expect([againOf(makers["read"]), againOf(makers["asked"])]).toEqual([1, 1]);
}, 180_000);

test("what comes out differently is named as lost, with the action that made it", async () => {
  const b = await actionOf("cat in > out", { in: lost.random });
  const { status } = await client.execute(b);
  expect(status?.code).toBe(9);
  expect(missingDigests({ details: status?.details ?? [] })).toEqual([lost.random]);
  expect(status?.message).toMatch(/not deterministic/);
  expect(status?.message).toContain(makers["random"]?.hash);
}, 180_000);
