import { describe, expect, test } from "vitest";
import type { Effect } from "../../../src/core/machine.ts";
import { ProvidedMachines } from "../../../src/core/provided.ts";
import {
  type BegunLaunch,
  type ListedMachine,
  type ProvidedOptions,
  providedDefaults,
} from "../../../src/core/provided-options.ts";
import type { WorkerView } from "../../../src/core/roster.ts";
import { ofKind } from "../../support/core-values.ts";

const options: ProvidedOptions = { ...providedDefaults, tag: "mesh" };

/** A keeper with a mesh and a clock of its own. */
class Room {
  nowMs = 1_000_000;
  workers: WorkerView[] = [];
  hosts: { peer: string; name: string }[] = [];
  term: number | undefined = 1;
  readonly machines: ProvidedMachines;

  constructor(begun: readonly BegunLaunch[] = []) {
    this.machines = new ProvidedMachines(options, begun);
  }

  look(laterMs = 0): readonly Effect[] {
    this.nowMs += laterMs;
    return this.machines.look({ workers: this.workers, hosts: this.hosts }, this.term, this.nowMs);
  }

  listed(...machines: ListedMachine[]): readonly Effect[] {
    return this.machines.handle({ kind: "listed", machines }, this.nowMs);
  }

  launch(count = 1): readonly string[] {
    const effects = this.machines.launch(count, "on-demand", 100, this.nowMs);
    return ofKind(effects, "provide").map(({ token }) => token);
  }

  provided(token: string): readonly Effect[] {
    return this.machines.handle({ kind: "provided", token, id: `i-${token}` }, this.nowMs);
  }

  join(token: string, busy = 0): void {
    this.leave(token);
    this.hosts.push({ peer: `p-${token}`, name: token });
    this.workers.push({
      ...{ peer: `w-${token}`, name: `${token}/worker-1`, slots: 2, free: 2 - busy, queued: 0 },
      ...{ draining: false, isolation: "none", properties: {}, busy, home: `p-${token}` },
      idleSinceMs: busy > 0 ? undefined : this.nowMs,
    });
  }

  leave(token: string): void {
    this.hosts = this.hosts.filter(({ name }) => name !== token);
    this.workers = this.workers.filter(({ home }) => home !== `p-${token}`);
  }

  /** A machine that is a member. */
  ready(): string {
    const [token = ""] = this.launch();
    this.provided(token);
    this.join(token);
    this.look(1_000);
    return token;
  }

  state(token: string): string | undefined {
    return this.machines.machines.find(({ id }) => id === token)?.state;
  }
}

function leading(begun: readonly BegunLaunch[] = []): Room {
  const room = new Room(begun);
  room.look();
  room.listed();
  return room;
}

function listedOf(token: string, changes: Partial<ListedMachine> = {}): ListedMachine {
  const machine = { token, id: `i-${token}`, market: "on-demand", state: "running" } as const;
  return { ...machine, launchedAtMs: 1_000_000, ...changes };
}

const dismissed = (effects: readonly Effect[]) => ofKind(effects, "dismiss").flatMap((e) => e.ids);

test("who begins to lead lists first, and starts nothing before the answer", () => {
  const room = new Room();
  expect(room.look()).toEqual([{ kind: "list" }]);
  expect(room.launch()).toEqual([]);
  room.machines.handle(
    { kind: "unlisted", failure: { code: "UNAVAILABLE", message: "no answer" } },
    room.nowMs,
  );
  expect(room.machines.blockedWhy(room.nowMs)).toBe("no answer");
  expect(room.look(options.backoffMs)).toEqual([{ kind: "list" }]);
  room.listed();
  expect(room.launch()).toHaveLength(1);
});

test("every launch has a token of its own, also after the clock went back", () => {
  const room = leading();
  const tokens = [...room.launch(3)];
  room.nowMs -= 500_000;
  tokens.push(...room.launch(2));
  expect(new Set(tokens).size).toBe(5);
  expect(room.machines.machines.map(({ state }) => state)).toEqual(Array(5).fill("booting"));
});

test("a machine boots, becomes a member, is paused, told to leave and ended", () => {
  const room = leading();
  const token = room.ready();
  expect(room.state(token)).toBe("ready");
  const paused = room.machines.pause(token, room.nowMs);
  expect(ofKind(paused, "send")).toMatchObject([{ message: { kind: "drain", phase: "pause" } }]);
  expect(room.state(token)).toBe("draining");
  expect(ofKind(room.look(options.pauseMs - 1), "send")).toEqual([]);
  expect(ofKind(room.look(1), "send")).toMatchObject([{ message: { phase: "leave" } }]);
  expect(room.state(token)).toBeUndefined();
  room.leave(token);
  expect(dismissed(room.look(1_000))).toEqual([`i-${token}`]);
  room.listed(listedOf(token, { state: "ended" }));
  expect(room.machines.size).toBe(0);
});

test("a drain is cancelled by whoever wants the machine, and by work that came in between", () => {
  const room = leading();
  const token = room.ready();
  room.machines.pause(token, room.nowMs);
  const kept = room.machines.resume(token, room.nowMs);
  expect(ofKind(kept, "send")).toMatchObject([{ message: { phase: "resume" } }]);
  room.machines.pause(token, room.nowMs);
  room.join(token, 1);
  expect(ofKind(room.look(options.pauseMs), "send")).toMatchObject([
    { message: { phase: "resume" } },
  ]);
  expect(room.state(token)).toBe("ready");
});

test("a drain that was asked for waits for the work, and is no supply", () => {
  const room = leading();
  const token = room.ready();
  room.join(token, 1);
  room.machines.pause(token, room.nowMs, true);
  expect(room.machines.machines).toEqual([]);
  for (let n = 0; n < 10; n += 1) expect(ofKind(room.look(60_000), "send")).toEqual([]);
  room.join(token);
  expect(ofKind(room.look(options.askedPauseMs), "send")).toMatchObject([
    { message: { phase: "leave" } },
  ]);
});

test("a machine that never joins is ended, and launches wait a while", () => {
  const room = leading();
  const [token = ""] = room.launch();
  room.provided(token);
  expect(dismissed(room.look(options.bootMsMax - 1))).toEqual([]);
  expect(dismissed(room.look(1))).toEqual([`i-${token}`]);
  expect(room.machines.machines).toEqual([]);
  expect(room.launch()).toEqual([]);
  room.look(options.backoffMs);
  expect(room.launch()).toHaveLength(1);
});

test("a member that vanished is ended after a minute, not after a blink", () => {
  const room = leading();
  const token = room.ready();
  room.leave(token);
  expect(dismissed(room.look(options.lostMs - 1))).toEqual([]);
  room.join(token);
  room.look(1);
  room.leave(token);
  expect(dismissed(room.look(options.lostMs))).toEqual([`i-${token}`]);
});

test("an end that the provider did not carry out is asked for again", () => {
  const room = leading();
  const [token = ""] = room.launch();
  room.provided(token);
  room.look(options.bootMsMax);
  expect(dismissed(room.listed(listedOf(token)))).toEqual([`i-${token}`]);
  room.look(options.unlistedMs - 1);
  expect(room.machines.size).toBe(1);
  room.look(1);
  expect(room.machines.size).toBe(0);
});

describe("a provider that fails", () => {
  const refusal = { code: "RESOURCE_EXHAUSTED", message: "no capacity" } as const;

  test("one that refuses is asked again later, each time twice as late", () => {
    const room = leading();
    const waits = Array.from({ length: 7 }, () => {
      const [token = ""] = room.launch();
      room.machines.handle({ kind: "unprovided", token, failure: refusal }, room.nowMs);
      expect(room.machines.blockedWhy(room.nowMs)).toBe("no capacity");
      expect(room.machines.size).toBe(0);
      let waitMs = 0;
      for (; room.launch().length === 0; waitMs += 10_000) room.look(10_000);
      for (const { id } of room.machines.machines) {
        room.machines.handle({ kind: "unprovided", token: id, failure: refusal }, room.nowMs);
      }
      while (room.machines.blockedWhy(room.nowMs) !== undefined) room.look(10_000);
      return waitMs;
    });
    expect(waits.slice(0, 3)).toEqual([10_000, 40_000, 160_000]);
    expect(Math.max(...waits)).toBe(options.backoffMsMax);
  });

  test("one that does not answer is asked again with the same token", () => {
    const room = leading();
    const [token = ""] = room.launch();
    const failure = { code: "UNAVAILABLE", message: "no answer" } as const;
    room.machines.handle({ kind: "unprovided", token, failure }, room.nowMs);
    expect(room.state(token)).toBe("booting");
    const again = ofKind(room.look(options.askAgainMs), "provide");
    expect(again.map((effect) => effect.token)).toEqual([token]);
  });

  test("an answer that comes after the machine was given up ends it", () => {
    const room = leading();
    const [token = ""] = room.launch();
    room.machines.pause(token, room.nowMs);
    expect(dismissed(room.provided(token))).toEqual([`i-${token}`]);
  });
});

describe("another coordinator's machines", () => {
  test("members are taken over as they are, the others get the time to boot", () => {
    const room = new Room();
    room.look();
    room.join("mesh-1-a");
    room.listed(
      listedOf("mesh-1-a"),
      listedOf("mesh-1-b"),
      listedOf("mesh-1-c", { state: "ended" }),
    );
    room.look();
    expect(room.machines.machines.map(({ id, state }) => [id, state])).toEqual([
      ["mesh-1-a", "ready"],
      ["mesh-1-b", "booting"],
    ]);
    expect(dismissed(room.look(options.bootMsMax))).toEqual(["i-mesh-1-b"]);
  });

  test("a clock that is ahead does not make a machine live for ever", () => {
    const room = new Room();
    room.look();
    room.listed(listedOf("mesh-1-a", { launchedAtMs: 9e15 }));
    expect(dismissed(room.look(options.bootMsMax))).toEqual(["i-mesh-1-a"]);
  });

  test("a launch of an earlier run is asked for again, unless it is listed", () => {
    const begun = ["mesh-1-a", "mesh-1-b"].map((token) => ({ token, market: "spot" as const }));
    const room = new Room(begun);
    room.look();
    const again = ofKind(room.listed(listedOf("mesh-1-a")), "provide");
    expect(again).toEqual([{ kind: "provide", token: "mesh-1-b", market: "spot" }]);
    expect(room.machines.size).toBe(2);
    // Only once: whoever leads again later finds them in the list.
    room.term = undefined;
    room.look();
    expect(room.machines.size).toBe(0);
    room.term = 3;
    room.look();
    expect(ofKind(room.listed(), "provide")).toEqual([]);
  });

  test("who leads no more does nothing, whatever it hears", () => {
    const room = leading();
    const [token = ""] = room.launch();
    room.term = undefined;
    room.look();
    expect(room.provided(token)).toEqual([]);
    expect(room.listed(listedOf(token))).toEqual([]);
    expect(room.launch()).toEqual([]);
    expect(room.machines.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
  });
});
