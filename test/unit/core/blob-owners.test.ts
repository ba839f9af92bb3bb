import fc from "fast-check";
import { expect, test } from "vitest";
import { ownersOf } from "../../../src/core/blob-owners.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { hashText } from "../../../src/core/rng.ts";

function digest(at: number): Digest {
  const hash = hashText(`blob ${at}`).toString(16).padStart(8, "0").repeat(8);
  return { fn: "sha256", hash, sizeBytes: at };
}

function hosts(count: number, from = 0) {
  return Array.from({ length: count }, (_, at) => ({ name: `host-${from + at}`, weight: 1 }));
}

test("owners are different hosts, the same in every order of the list", () => {
  const seed = { seed: 51, numRuns: 200 };
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 20 }), fc.integer(), (at, count, shuffle) => {
      const all = hosts(count);
      const owners = ownersOf(digest(at), all);
      expect(owners.length).toBe(Math.min(2, count));
      expect(new Set(owners).size).toBe(owners.length);
      const shuffled = [...all].sort(
        (a, b) => hashText(`${a.name}${shuffle}`) - hashText(`${b.name}${shuffle}`),
      );
      expect(ownersOf(digest(at), shuffled)).toEqual(owners);
    }),
    seed,
  );
});

test("every host owns its share, a heavier one more", () => {
  const digests = 20_000;
  const counts = new Map<string, number>();
  const all = [...hosts(9), { name: "heavy", weight: 3 }];
  for (let at = 0; at < digests; at += 1) {
    for (const owner of ownersOf(digest(at), all, 1)) {
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
  }
  for (const { name, weight } of all) {
    const share = (counts.get(name) ?? 0) / (digests * (weight / 12));
    expect(share, name).toBeGreaterThan(0.9);
    expect(share, name).toBeLessThan(1.1);
  }
});

test("a host that leaves moves only what it owned; one that joins takes only its share", () => {
  const digests = 5000;
  const all = hosts(10);
  const [gone, ...left] = all;
  const joined = [...all, ...hosts(1, 10)];
  let moved = 0;
  let taken = 0;
  for (let at = 0; at < digests; at += 1) {
    const before = ownersOf(digest(at), all);
    const after = ownersOf(digest(at), left);
    const kept = before.filter((owner) => owner !== gone?.name);
    expect(after.slice(0, kept.length)).toEqual(kept);
    moved += before.length - kept.length;
    const grown = ownersOf(digest(at), joined);
    const fresh = grown.filter((owner) => !before.includes(owner));
    expect(fresh.every((owner) => owner === "host-10")).toBe(true);
    taken += fresh.length;
  }
  // A tenth of the owners was the one that left; an eleventh goes to the one that joined.
  expect(moved / (2 * digests)).toBeCloseTo(1 / 10, 1);
  expect(taken / (2 * digests)).toBeCloseTo(1 / 11, 1);
});
