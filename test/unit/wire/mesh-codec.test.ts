import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeMessage, encodeMessage, type PeerMessage } from "../../../src/wire/mesh-codec.ts";

const token = { ingress: "12D3KooW", seq: 1_700_000_000_000_123, hop: 2 };
const digest = { fn: "blake3" as const, hash: "cd".repeat(32), sizeBytes: 7 };
const request = {
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
const messages: readonly PeerMessage[] = [
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
  { kind: "steal", nonce: 7, room: 3 },
  { kind: "granted", nonce: 7, count: 0, retryMs: 20 },
  { kind: "lifeline", on: true, room: 4 },
  { kind: "revocation", body: new Uint8Array([1]), signature: new Uint8Array([2, 3]) },
];

test.each(messages.map((message) => [message.kind, message] as const))(
  "a %s message survives the wire",
  (_, message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  },
);

test("no bytes of a peer make decoding throw anything but INVALID_ARGUMENT", () => {
  const known = messages.map(encodeMessage);
  const flipped = fc
    .tuple(fc.constantFrom(...known), fc.nat(), fc.integer({ min: 0, max: 255 }))
    .map(([bytes, at, value]) => {
      const copy = Uint8Array.from(bytes);
      copy[at % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), flipped), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
    }),
    { numRuns: 2000 },
  );
});

test("lies about sizes and slots are refused", () => {
  const load = messages[0]!;
  if (load.kind !== "load") throw new Error("the first message is a load");
  expect(() => decodeMessage(encodeMessage({ ...load, free: 9 }))).toThrow(/slots/);
  expect(() => decodeMessage(encodeMessage({ ...load, name: "x".repeat(300) }))).toThrow(
    /Load.name/,
  );
  const tokens = Array.from({ length: 5000 }, () => token);
  expect(() => decodeMessage(encodeMessage({ kind: "renew", tokens }))).toThrow(/too many tokens/);
});

test("numbers beyond the wire's range are sent as the nearest that fits", () => {
  const done = (exitCode: number, runMs: number): PeerMessage => ({
    kind: "done",
    token,
    outcome: { kind: "result", response: digest, exitCode, runMs },
  });
  expect(decodeMessage(encodeMessage(done(3_221_225_477, 5e9)))).toEqual(
    done(-1_073_741_819, 4_294_967_295),
  );
  expect(decodeMessage(encodeMessage(done(1, -0.4)))).toEqual(done(1, 0));
  expect(
    decodeMessage(encodeMessage({ kind: "offer", token, request, estimateMs: 5e9 })),
  ).toMatchObject({ estimateMs: 4_294_967_295 });
});
