// What members say may be anything: late, doubled, forged. Whatever comes, a node stays in its own
// view, keeps its bounds, and agrees with honest hosts once it can talk with them.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Council } from "../../../src/core/council.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { MemberRecord, Message } from "../../../src/core/message.ts";
import { createRng } from "../../../src/core/rng.ts";

const startMs = 1_700_000_000_000;
const peers = ["a", "b", "c", "d", "self", ""];
const peer = fc.constantFrom(...peers);
const stamp = fc.oneof(
  fc.integer({ min: startMs - 5, max: startMs + 5 }),
  fc.constantFrom(0, startMs + 40 * 86_400_000, Number.MAX_SAFE_INTEGER),
);
const version = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constant(Number.MAX_SAFE_INTEGER));

const record: fc.Arbitrary<MemberRecord> = fc.record({
  peer: fc.oneof(
    peer,
    fc.integer({ min: 0, max: 2_000 }).map((i) => `x${i}`),
  ),
  name: fc.constant("name"),
  addresses: fc.array(fc.constantFrom("/a", "/b"), { maxLength: 20 }),
  incarnation: stamp,
  version,
  left: fc.boolean(),
});

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant("members" as const),
    members: fc.array(record, { maxLength: 30 }),
    workStealing: fc.boolean(),
    workStealingVersion: stamp,
  }),
  fc.record({ kind: fc.constant("probe" as const), peer }),
  fc.record({ kind: fc.constant("probed" as const), peer, linked: fc.boolean() }),
  fc.record({ kind: fc.constant("lease" as const), term: version, rank: version }),
);

const input: fc.Arbitrary<Input> = fc.oneof(
  fc.record({ kind: fc.constant("linked" as const), peer }),
  fc.record({ kind: fc.constant("unlinked" as const), peer }),
  fc.record({ kind: fc.constant("undialled" as const), peer }),
  fc.record({ kind: fc.constant("message" as const), from: peer, message }),
  fc.record({ kind: fc.constant("message" as const), from: peer, message }),
  fc.constant({ kind: "wake" } as const),
);

const step = fc.record({ input, passMs: fc.constantFrom(0, 1, 100, 3_000, 20_000) });

/** Messages one input can cause at most: news to 32 links, probes, leases, an answer. */
const sendsMax = 100;

test("whatever members say, a node keeps its bounds and its own place", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const deps = { self: "self", name: "self", rng: createRng(1) };
      const council = new Council(deps, { serves: true });
      let nowMs = startMs;
      const tell = (told: Input): readonly Effect[] => {
        const effects = council.handle(told, nowMs);
        expect(effects.length).toBeLessThanOrEqual(sendsMax);
        return effects;
      };
      tell({ kind: "wake" });
      for (const { input: told, passMs } of steps) {
        nowMs += passMs;
        if (council.wakeAtMs <= nowMs) tell({ kind: "wake" });
        tell(told);
        const { membership, election } = council;
        expect(membership.members.length).toBeLessThanOrEqual(1_024);
        expect(membership.liveHosts).toContain("self");
        expect(membership.members.map((member) => member.peer)).not.toContain("self");
        expect(Number.isSafeInteger(election?.term)).toBe(true);
        // Nothing is due for ever: after a wake-up the next one lies ahead.
        tell({ kind: "wake" });
        expect(council.wakeAtMs).toBeGreaterThan(nowMs);
      }
    }),
    { seed: 5, numRuns: 300 },
  );
});

test("an honest host is in the view after any history, as soon as it introduces itself", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const deps = { self: "self", name: "self", rng: createRng(2) };
      const council = new Council(deps, { serves: true });
      let nowMs = startMs;
      for (const { input: told, passMs } of steps) {
        nowMs += passMs;
        council.handle(told, nowMs);
      }
      council.handle({ kind: "unlinked", peer: "h" }, nowMs);
      council.handle({ kind: "linked", peer: "h" }, nowMs);
      const own = { peer: "h", name: "h", addresses: [], version: 0, left: false };
      const members = [{ ...own, incarnation: startMs }];
      const hello = {
        kind: "members",
        members,
        workStealing: false,
        workStealingVersion: 0,
      } as const;
      council.handle({ kind: "message", from: "h", message: hello }, nowMs);
      expect(council.membership.isLinkedHost("h")).toBe(true);
    }),
    { seed: 6, numRuns: 300 },
  );
});
