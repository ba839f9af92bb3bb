import { expect, test } from "vitest";
import { Election, electionDefaults } from "../../../src/core/election.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import { createRng } from "../../../src/core/rng.ts";
import { ofKind } from "../../support/core-values.ts";

/** A voter among hosts of which it is told directly. */
class Voter {
  readonly election: Election;
  hosts: { readonly peer: string; readonly incarnation: number }[] = [];
  nowMs = 1_000_000;
  /** Whether one of them is away without a goodbye. */
  misses = false;

  constructor(options: Partial<typeof electionDefaults> = {}) {
    const electorate = {
      own: { incarnation: 100 },
      linkedHosts: [] as { readonly peer: string; readonly incarnation: number }[],
      isLinkedHost: (peer: string) => this.hosts.some((host) => host.peer === peer),
      missesSomebody: false,
    };
    Object.defineProperty(electorate, "missesSomebody", { get: () => this.misses });
    Object.defineProperty(electorate, "linkedHosts", { get: () => this.hosts });
    const deps = { self: "m", rng: createRng(3), electorate };
    this.election = new Election(deps, { ...electionDefaults, ...options });
    this.tell({ kind: "wake" });
  }

  tell(input: Input): readonly Effect[] {
    return this.election.handle(input, this.nowMs);
  }

  link(peer: string, incarnation = 200): readonly Effect[] {
    this.tell({ kind: "linked", peer });
    this.hosts = [...this.hosts, { peer, incarnation }];
    const message = {
      kind: "members",
      members: [],
      workStealing: false,
      workStealingVersion: 0,
    } as const;
    return this.tell({ kind: "message", from: peer, message });
  }

  unlink(peer: string): readonly Effect[] {
    this.hosts = this.hosts.filter((host) => host.peer !== peer);
    return this.tell({ kind: "unlinked", peer });
  }

  hear(from: string, term: number, rank = 500): readonly Effect[] {
    return this.tell({ kind: "message", from, message: { kind: "lease", term, rank } });
  }

  /** Lets time pass, waking it as often as it asks to. */
  pass(ms: number): readonly Effect[] {
    const endMs = this.nowMs + ms;
    const effects: Effect[] = [];
    while (this.election.wakeAtMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.election.wakeAtMs);
      effects.push(...this.tell({ kind: "wake" }));
    }
    this.nowMs = endMs;
    return effects;
  }

  /** Ms until it leads, at most `msMax`. */
  untilLeads(msMax: number): number {
    const startMs = this.nowMs;
    while (!this.election.isLeader && this.nowMs - startMs < msMax) this.pass(10);
    return this.nowMs - startMs;
  }
}

function notes(effects: readonly Effect[]): readonly string[] {
  return ofKind(effects, "note").map(({ note }) => note.name);
}

test("a node alone leads after its first wait and may scale", () => {
  const voter = new Voter();
  expect(voter.election.leader).toBeUndefined();
  expect(notes(voter.pass(999))).toEqual([]);
  expect(notes(voter.pass(201))).toEqual(["lease-taken"]);
  expect([voter.election.leader, voter.election.term]).toEqual(["m", 1]);
  voter.pass(3_600_000);
  expect([voter.election.mayScale, voter.election.term]).toEqual([true, 1]);
});

test("the coordinator tells every linked host each second, a new one at once", () => {
  const voter = new Voter();
  voter.pass(1_500);
  expect(ofKind(voter.link("a"), "send")).toMatchObject([
    { to: "a", message: { kind: "lease", term: 1, rank: 999 } },
  ]);
  expect(ofKind(voter.pass(10_000), "send")).toHaveLength(10);
});

test("a follower claims the next term 5 s after the last lease, in the order of start", () => {
  for (const [older, leastMs] of [
    [0, 5_000],
    [2, 5_600],
  ] as const) {
    const voter = new Voter();
    voter.link("l", 1);
    for (let i = 0; i < older; i += 1) voter.link(`o${i}`, 50);
    voter.link("y", 300);
    expect(notes(voter.hear("l", 7))).toEqual(["lease-seen"]);
    voter.pass(900);
    expect(notes(voter.hear("l", 7))).toEqual([]);
    const tookMs = voter.untilLeads(20_000);
    expect(tookMs).toBeGreaterThanOrEqual(leastMs);
    expect(tookMs).toBeLessThanOrEqual(leastMs + 210);
    expect(voter.election.term).toBe(8);
  }
});

test("a closed link of the coordinator shortens the wait; its return ends that", () => {
  const voter = new Voter();
  voter.link("l");
  voter.hear("l", 7);
  voter.unlink("l");
  expect(voter.untilLeads(20_000)).toBeLessThanOrEqual(1_210);
  const other = new Voter();
  other.link("l");
  other.hear("l", 7);
  other.unlink("l");
  other.pass(500);
  other.link("l");
  other.pass(400);
  other.hear("l", 7);
  other.pass(4_000);
  expect(other.election.leader).toBe("l");
});

test("a coordinator that began anew is followed up soon", () => {
  const voter = new Voter();
  voter.link("l");
  voter.hear("l", 7);
  voter.unlink("l");
  voter.pass(500);
  voter.link("l");
  expect(voter.untilLeads(20_000)).toBeLessThanOrEqual(1_210);
});

test("the better claim counts: higher term, lower rank, lower peer", () => {
  const voter = new Voter();
  for (const peer of ["a", "b", "z"]) voter.link(peer);
  voter.pass(5_000);
  expect([voter.election.leader, voter.election.term]).toEqual(["m", 1]);
  expect(notes(voter.hear("z", 1, 999))).toEqual([]);
  expect(notes(voter.hear("b", 1, 999))).toEqual(["lease-lost"]);
  expect(notes(voter.hear("a", 1, 999))).toEqual(["lease-seen"]);
  expect(notes(voter.hear("b", 1, 999))).toEqual([]);
  expect(notes(voter.hear("z", 1, 3))).toEqual(["lease-seen"]);
  expect(notes(voter.hear("b", 2, 9_999))).toEqual(["lease-seen"]);
  expect(notes(voter.hear("z", 1, 1))).toEqual([]);
  expect(voter.election.leader).toBe("b");
});

test("strangers and terms out of nowhere are not followed", () => {
  const voter = new Voter();
  voter.link("a");
  expect(voter.hear("x", 5)).toEqual([]);
  expect(notes(voter.hear("a", 1_000_001))).toEqual(["lease-ignored"]);
  expect(notes(voter.hear("a", 2_000_001))).toEqual([]);
  expect([voter.election.leader, voter.election.term]).toEqual([undefined, 0]);
});

test("a coordinator cut off for 5 s goes on but does not scale", () => {
  const voter = new Voter();
  voter.pass(2_000);
  voter.link("a");
  voter.pass(2_000);
  expect(voter.election.mayScale).toBe(true);
  voter.unlink("a");
  voter.misses = true;
  voter.pass(4_000);
  expect(voter.election.mayScale).toBe(true);
  voter.pass(3_000);
  expect([voter.election.isLeader, voter.election.mayScale]).toEqual([true, false]);
  voter.misses = false;
  voter.link("a");
  voter.pass(1_000);
  expect(voter.election.mayScale).toBe(true);
});

test("a coordinator whose last fellow said goodbye, or whose machines are gone, goes on scaling", () => {
  const voter = new Voter();
  voter.link("a");
  voter.pass(3_000);
  voter.unlink("a");
  voter.pass(60_000);
  expect([voter.election.isLeader, voter.election.mayScale]).toEqual([true, true]);
});

test("a coordinator that stood still does not lead on as if nothing was", () => {
  const voter = new Voter();
  voter.link("a");
  voter.pass(3_000);
  expect(voter.election.isLeader).toBe(true);
  voter.nowMs += 20_000;
  expect(ofKind(voter.tell({ kind: "wake" }), "send")).toEqual([]);
  expect(voter.election.leader).toBeUndefined();
  voter.hear("a", 2);
  expect(voter.election.leader).toBe("a");
});

test("a node that leaves does not lead, nor claims again", () => {
  const voter = new Voter();
  voter.link("a");
  voter.pass(3_000);
  voter.tell({ kind: "drain" });
  expect(ofKind(voter.pass(60_000), "send")).toEqual([]);
  expect(voter.election.isLeader).toBe(false);
  voter.hear("a", 2);
  expect(voter.election.leader).toBe("a");
  voter.pass(60_000);
  expect(voter.election.leader).toBeUndefined();
});

test("a node that may not lead claims nothing, whoever is lost", () => {
  const own = { incarnation: 1 };
  const electorate = { own, linkedHosts: [], isLinkedHost: () => true, missesSomebody: false };
  const options = { ...electionDefaults, mayLead: false };
  const election = new Election({ self: "m", rng: createRng(1), electorate }, options);
  election.handle({ kind: "wake" }, 0);
  expect(election.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
  const lease = { kind: "lease", term: 3, rank: 1 } as const;
  election.handle({ kind: "message", from: "c", message: lease }, 1_000);
  expect([election.leader, election.term]).toEqual(["c", 3]);
  election.handle({ kind: "wake" }, 60_000);
  expect([election.leader, election.wakeAtMs]).toEqual([undefined, Number.POSITIVE_INFINITY]);
});
