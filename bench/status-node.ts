// A node that knows 200 others with a worker each, for measuring what answers people: the real
// core, recorder and ingress; the other nodes are messages that real ones would have sent.

import { MemoryActionCache, MemoryBlobStore } from "../src/cas/memory-blob-store.ts";
import type { ActionRequest } from "../src/core/action.ts";
import type { Effect, Input } from "../src/core/machine.ts";
import { NodeCore } from "../src/core/node.ts";
import { createRng } from "../src/core/rng.ts";
import { startIngress } from "../src/ingress/server.ts";
import { createOwnInsight } from "../src/node/own-insight.ts";
import { createWatched } from "../src/node/watched.ts";

const hosts = 200;
const slots = 8;
/** More than there are slots: a thousand wait. */
const actions = hosts * slots + 1000;
const self = "self";

const quiet = () => undefined;
const watched = createWatched({ log: quiet, now: Date.now }, "info");
const profile = { self, name: "desk", slots: 0, properties: {}, isolation: "none", serves: true };
const core = new NodeCore(
  { ...profile, membership: { serves: true, workStealing: { on: true, version: 1 } } },
  createRng(1),
);

function feed(input: Input): void {
  for (const effect of core.handle(input, Date.now())) perform(effect);
}

/** Offers are claimed until all slots are taken; what is bound runs as long as this process. */
function perform(effect: Effect): void {
  if (effect.kind === "note") watched.onNote(effect.note);
  if (effect.kind !== "send" || effect.message.kind !== "offer") return;
  const claimed = claimedByPeer.get(effect.to) ?? 0;
  if (claimed === slots) return;
  claimedByPeer.set(effect.to, claimed + 1);
  const { token } = effect.message;
  claims.push({ kind: "message", from: effect.to, message: { kind: "claim", token } });
}
const claims: Input[] = [];
const claimedByPeer = new Map<string, number>();

feed({ kind: "wake" });
for (let at = 0; at < hosts; at += 1) {
  const [host, worker] = [`host-${at}`, `worker-${at}`];
  feed({ kind: "linked", peer: host });
  const record = { peer: host, name: host, addresses: [`/ip4/10.0.0.1/tcp/${at + 1}`] };
  const members = [{ ...record, incarnation: Date.now(), version: 1, left: false }];
  const settings = { workStealing: true, workStealingVersion: 1 };
  feed({ kind: "message", from: host, message: { kind: "members", members, ...settings } });
  feed({ kind: "linked", peer: worker });
  const load = { name: `${host}/worker-1`, slots, free: slots, queued: 0, draining: false };
  const rest = { isolation: "namespaces", properties: {}, home: self, pending: 0, serves: false };
  const report = { kind: "load" as const, ...load, ...rest, busy: 0, pendingMs: 0 };
  feed({ kind: "message", from: worker, message: report });
}
for (let seq = 0; seq < actions; seq += 1) {
  feed({ kind: "submit", operation: `operation-${seq}`, request: requestOf(seq) });
  for (const claim of claims.splice(0)) feed(claim);
}

function requestOf(seq: number): ActionRequest {
  const digest = { fn: "sha256" as const, hash: seq.toString(16).padStart(64, "0"), sizeBytes: 1 };
  return {
    ...{ action: digest, inputRoot: digest, instance: "", priority: 0, user: `user-${seq % 7}` },
    ...{ invocation: `build-${seq % 50}`, kind: `//target:${seq} CppCompile`, properties: {} },
    ...{ mayMerge: true, skipCacheLookup: false },
  };
}

const startedAtMs = Date.now();
const pulse = { rttMs: 1, rttWorstMs: 3, asked: 16, late: 0 };
const mesh = {
  peerId: self,
  peers: () => core.members.map(({ peer }) => peer),
  pulseOf: () => pulse,
  memberOf: () => undefined,
};
const store = new MemoryBlobStore();
const own = createOwnInsight({
  ...{ now: Date.now, name: "desk", member: { core, mesh }, watched, cancel: () => false },
  read: (digest, bytesMax) => store.get(digest, bytesMax),
});
const ingress = await startIngress(
  {
    store: Object.assign(store, {
      hold: () => ({ release: quiet }),
      findByHash: async () => undefined,
      adopt: () => Promise.reject(new Error("nothing is adopted here")),
    }),
    actionCache: new MemoryActionCache({ now: Date.now }) as never,
    scheduler: { submit: quiet, abandon: quiet },
    status: () => ({
      ...{ version: "bench", uptimeMs: Date.now() - startedAtMs, draining: false, peer: self },
      workers: core.workers.map(({ properties: _, home: __, ...worker }) => worker),
      ...{ pending: core.pending, executing: core.executing, actions: watched.counters.read() },
      ...{ workersMin: 0, workersMax: 0, coordinator: "", reapi: [], term: core.term },
      invocations: [...core.invocations],
      members: core.members.map((member) => ({ ...member, addresses: [...member.addresses] })),
      ...{ leader: core.leader ?? "", workStealing: true, scaling: undefined, ...own.brief() },
    }),
    ...{ log: quiet, now: Date.now },
  },
  { addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }], node: self },
);
process.send?.({ port: ingress.ports[0], workers: core.workers.length, pending: core.pending });
process.once("disconnect", () => process.exit(0));
