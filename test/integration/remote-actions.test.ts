// An action that another host accepted, over real links and stores on disk: inputs come, outputs go
// back, and a host that fails on the way is named.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { buildTree, readTree, type TreeEntry } from "../../src/cas/merkle.ts";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import { createPeerFetch } from "../../src/cas/peer-fetch.ts";
import type { ActionRequest } from "../../src/core/action.ts";
import type { Digest } from "../../src/core/digest.ts";
import {
  type BlobExchange,
  lanBlobOptions,
  startBlobExchange,
} from "../../src/mesh/blob-exchange.ts";
import type { MeshHost } from "../../src/mesh/mesh-host.ts";
import { encodeBytes } from "../../src/wire/encode.ts";
import {
  Action,
  ActionResult,
  Command,
  ExecuteResponse,
} from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../src/wire/reapi.ts";
import type { Executor } from "../../src/worker/executor.ts";
import { createRemoteExecutor, type RemoteExecutor } from "../../src/worker/remote-executor.ts";
import { createMeshHosts, type MeshHosts } from "../support/linked-hosts.ts";

let folder: string;
let mesh: MeshHosts;
let ingress: { readonly host: MeshHost; readonly disk: Store };
let worker: { readonly host: MeshHost; readonly disk: Store };
let execute: RemoteExecutor;
const exchanges: BlobExchange[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "remote-actions-"));
  mesh = createMeshHosts();
  ingress = await host(true);
  worker = await host(false);
  await mesh.link(worker.host, ingress.host);
  const [, peerBlobs] = exchanges;
  const { blobs: store, actions } = { ...worker.disk };
  const hosts = () => ["home", ingress.host.peerId];
  const fetcher = createPeerFetch({ peers: peerBlobs!, store, self: "home", hosts });
  execute = createRemoteExecutor(
    countFiles,
    {
      ...{ peerBlobs: peerBlobs!, fetcher, home: "home", store, actions, hosts },
      ...{ log: () => undefined, now: Date.now },
    },
    { replicate: true, tries: 2, pauseMs: 10 },
  );
});
afterEach(async () => {
  for (const exchange of exchanges.splice(0)) exchange.close();
  await mesh.stop();
  await Promise.all([ingress.disk.close(), worker.disk.close()]);
  rmSync(folder, { recursive: true });
});

async function host(serves: boolean) {
  const started = await mesh.start();
  const options = { folder: join(folder, started.peerId), bytesMax: 1e9 };
  const disk = openStore({ now: Date.now }, options);
  exchanges.push(
    await startBlobExchange(
      {
        ...{ mesh: started, store: disk.blobs, actions: disk.actions },
        ...{ log: () => undefined, now: Date.now },
      },
      { ...lanBlobOptions, blobBytesMax: 1e9, serves },
    ),
  );
  return { host: started, disk };
}

/** Stands for an executor: reads every input from the worker's own store, makes a large output. */
const countFiles: Executor = async (request) => {
  const { blobs, actions } = worker.disk;
  const { inputRootDigest } = Action.decode(await blobs.get(request.action, 1e6));
  const root = { fn: "sha256" as const, ...inputRootDigest! };
  let bytes = 0;
  for (const entry of await readTree(blobs, root)) {
    if (entry.kind === "file") bytes += (await blobs.get(entry.digest, 1e8)).length;
  }
  const output = await blobs.put(Buffer.alloc(6_000_000, `read ${bytes} `), "sha256");
  const result = ActionResult.fromPartial({
    outputFiles: [{ path: "o", digest: toWireDigest(output) }],
    stdoutDigest: toWireDigest(await blobs.put(Buffer.from(`${bytes}`), "sha256")),
  });
  const key = { instance: request.instance, action: request.action };
  await actions.put(key, encodeBytes(ActionResult, result));
  const response = ExecuteResponse.fromPartial({ result });
  const digest = await blobs.put(encodeBytes(ExecuteResponse, response), "sha256");
  return { kind: "result", response: digest, exitCode: 0, runMs: 1 };
};

/** An action at the ingress with 400 small inputs in 20 folders and one of 5 MB. */
async function action(): Promise<ActionRequest> {
  const { blobs } = ingress.disk;
  const entries: TreeEntry[] = [];
  for (let at = 0; at < 400; at += 1) {
    const digest = await blobs.put(Buffer.from(`input ${at}`), "sha256");
    entries.push({ kind: "file", path: `d${at % 20}/e/f${at}`, digest, executable: false });
  }
  const large = await blobs.put(Buffer.alloc(5_000_000, "large"), "sha256");
  entries.push({ kind: "file", path: "large", digest: large, executable: false });
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) await blobs.put(bytes, "sha256");
  const command = encodeBytes(Command, Command.fromPartial({ arguments: ["count"] }));
  const message = Action.fromPartial({
    commandDigest: toWireDigest(await blobs.put(command, "sha256")),
    inputRootDigest: toWireDigest(tree.root),
  });
  const digest = await blobs.put(encodeBytes(Action, message), "sha256");
  const names = { instance: "", user: "u", invocation: "i", kind: "k" };
  const rest = { priority: 0, properties: {}, mayMerge: true, skipCacheLookup: false };
  return { action: digest, inputRoot: tree.root, ...names, ...rest };
}

const signal = new AbortController().signal;

test("inputs come, outputs, response and result are at the ingress when it ends", async () => {
  const request = await action();
  const outcome = await execute(request, { signal, from: ingress.host.peerId });
  if (outcome.kind !== "result") throw new Error(outcome.failure.message);
  const { blobs, actions } = ingress.disk;
  const response = ExecuteResponse.decode(await blobs.get(outcome.response, 1e6));
  const named: Digest[] = [
    { fn: "sha256", ...response.result!.outputFiles[0]!.digest! },
    { fn: "sha256", ...response.result!.stdoutDigest! },
  ];
  expect(await blobs.missing(named)).toEqual([]);
  const total = Array.from({ length: 400 }, (_, at) => `input ${at}`.length);
  const expected = total.reduce((sum, length) => sum + length, 5_000_000);
  expect(Buffer.from(await blobs.get(named[1]!, 100)).toString()).toBe(`${expected}`);
  const cache = new CompletenessCheckingActionCache({ base: actions, store: blobs });
  const cached = await cache.get({ instance: "", action: request.action });
  expect(cached?.result.outputFiles[0]?.path).toBe("o");
});

test("twenty at once that share their inputs", async () => {
  const request = await action();
  const runs = Array.from({ length: 20 }, () =>
    execute(request, { signal, from: ingress.host.peerId }),
  );
  for (const outcome of await Promise.all(runs)) {
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ kind: "result" });
  }
  // The inputs came once: 401 files, 41 folders, Action and Command.
  expect(exchanges[1]!.counts().blobsFetched).toBeLessThan(500);
});

test("an ingress that is gone is a fault with its name, soon", async () => {
  const request = await action();
  await ingress.host.stop();
  const outcome = await execute(request, { signal, from: ingress.host.peerId });
  expect(outcome).toMatchObject({
    kind: "fault",
    failure: { code: "UNAVAILABLE", message: expect.stringContaining(ingress.host.peerId) },
  });
});

test("a cancelled action stops fetching", async () => {
  const request = await action();
  const abort = new AbortController();
  const run = execute(request, { signal: abort.signal, from: ingress.host.peerId });
  abort.abort();
  expect((await run).kind).toBe("fault");
});
