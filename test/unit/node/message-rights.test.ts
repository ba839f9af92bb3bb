import { expect, test } from "vitest";
import type { Member } from "../../../src/mesh/identity.ts";
import { overreach } from "../../../src/node/message-rights.ts";
import type { PeerMessage } from "../../../src/wire/mesh-codec.ts";

const host: Member = {
  peerId: "h",
  name: "h",
  roles: ["host"],
  notBeforeMs: 0,
  notAfterMs: 1,
  sponsor: undefined,
};
const worker: Member = { ...host, peerId: "w", roles: ["worker"], sponsor: "h" };
const token = { ingress: "h", seq: 1, hop: 0 };
const load = {
  kind: "load",
  name: "w",
  slots: 1,
  free: 1,
  queued: 0,
  draining: false,
  isolation: "none",
  properties: {},
  home: "h",
  pending: 0,
  serves: false,
  busy: 0,
  pendingMs: 0,
} as const;

test("hosts may say everything, workers nothing that gives out work or leads", () => {
  const forHosts: PeerMessage[] = [
    { kind: "bound", token },
    { kind: "gone", token },
    { kind: "cancel", token },
    { kind: "granted", nonce: 1, count: 0, retryMs: 1 },
    { kind: "lease", term: 1, rank: 1 },
    { kind: "drain", worker: "", phase: "leave" },
    { ...load, serves: true },
  ];
  for (const message of forHosts) {
    expect(overreach(host, { ...message })).toBeUndefined();
    expect(overreach(worker, message), message.kind).toMatch(/a worker/);
  }
  const forAll: PeerMessage[] = [
    { kind: "claim", token },
    { kind: "renew", tokens: [token] },
    { kind: "steal", nonce: 1, room: 1 },
    { kind: "probe", peer: "x" },
    load,
  ];
  for (const message of forAll) expect(overreach(worker, message)).toBeUndefined();
});

test("nobody chooses whose worker it is: whoever counts as one's own may claim unasked", () => {
  for (const home of ["elsewhere", ""]) {
    expect(overreach(worker, { ...load, home })).toBe("a worker named another home");
    expect(overreach(host, { ...load, home })).toBe("a host named another home");
  }
  expect(overreach(host, { ...load, home: host.peerId, serves: true })).toBeUndefined();
});
