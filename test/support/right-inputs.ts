// One of each message and frame that nodes send each other, as they should be.

import type { PlainFrame } from "../../src/wire/blob-codec.ts";
import type { PeerMessage } from "../../src/wire/mesh-codec.ts";

export const token = { ingress: "12D3KooW", seq: 1_700_000_000_000_123, hop: 2 };
export const digest = { fn: "blake3" as const, hash: "cd".repeat(32), sizeBytes: 7 };
export const request = {
  action: digest,
  instance: "projects/p",
  priority: -100,
  user: "Zoë of the desk",
  invocation: "inv",
  kind: "//a:b CppCompile",
  inputRoot: digest,
  properties: { OSFamily: "linux" },
  mayMerge: true,
  skipCacheLookup: false,
};
export const messages: readonly PeerMessage[] = [
  {
    kind: "load",
    name: "worker-1",
    slots: 4,
    free: 1,
    queued: 9,
    draining: false,
    isolation: "namespaces+cgroup",
    properties: { ISA: ["x86-64", "amd64"] },
    home: "12D3KooW",
    pending: 70_000,
    serves: true,
    busy: 2,
    pendingMs: 9_000_000_000,
  },
  { kind: "offer", token, request, estimateMs: undefined },
  { kind: "offer", token, request, estimateMs: 1200 },
  { kind: "claim", token },
  { kind: "bound", token },
  { kind: "gone", token },
  { kind: "renew", tokens: [token, { ...token, hop: 0 }] },
  { kind: "done", token, outcome: { kind: "result", response: digest, exitCode: 0, runMs: 5 } },
  {
    kind: "done",
    token,
    outcome: { kind: "result", response: digest, exitCode: undefined, runMs: 5 },
  },
  {
    kind: "done",
    token,
    outcome: {
      ...{ kind: "result", response: digest, exitCode: 0, runMs: 5 },
      spans: { fetchMs: 7, setUpMs: 0, storeMs: 70_000 },
    },
  },
  {
    kind: "done",
    token,
    outcome: { kind: "fault", failure: { code: "UNAVAILABLE", message: "gone" } },
  },
  { kind: "cancel", token },
  { kind: "output", token, stream: "stderr", offset: 7, bytes: new Uint8Array([7, 8]) },
  {
    kind: "members",
    members: [
      {
        peer: "12D3KooW",
        name: "desk",
        addresses: ["/ip4/10.0.0.1/tcp/4001"],
        incarnation: 1_700_000_000_000,
        version: 3,
        left: false,
      },
    ],
    workStealing: true,
    workStealingVersion: 1_700_000_000_001,
  },
  { kind: "probe", peer: "12D3KooW" },
  { kind: "probed", peer: "12D3KooW", linked: true },
  { kind: "lease", term: 9, rank: 2 },
  { kind: "drain", worker: "desk/worker-1", phase: "pause" },
  { kind: "steal", nonce: 7, room: 3 },
  { kind: "granted", nonce: 7, count: 0, retryMs: 20 },
  { kind: "lifeline", on: true, room: 4 },
  { kind: "revocation", body: new Uint8Array([1]), signature: new Uint8Array([2, 3]) },
];

const digests = [digest, { ...digest, hash: "ab".repeat(32) }];
const key = { instance: "main", action: digest };
const [id, bytes] = [7, new Uint8Array([1, 2, 3])];

/** Frames of the blob protocol, all but those that carry bytes of blobs. */
export const blobFrames: readonly PlainFrame[] = [
  { kind: "want", id, digests },
  { kind: "ask", id, digests: [{ fn: "sha1", hash: "ef".repeat(20), sizeBytes: 9 }] },
  { kind: "put", id, digests },
  { kind: "getResult", id, key },
  { kind: "putResult", id, key, bytes },
  { kind: "enough", id },
  { kind: "end", id, missing: [0, 1, 500] },
  { kind: "missing", id, missing: [3] },
  { kind: "stored", id, refused: [1], code: "RESOURCE_EXHAUSTED", message: "full" },
  { kind: "cachedResult", id, result: { bytes, storedAtMs: 1_700_000_000_000 } },
  { kind: "cachedResult", id, result: undefined },
];
