import { expect, test } from "vitest";
import { createPulse, pulseBounds } from "../../../src/mesh/pulse.ts";
import { encodeMessage } from "../../../src/wire/mesh-codec.ts";

const beatsPerHeartbeat = 4;

/** Two ends, the first of which opened the link; what they send waits until it is delivered. */
function ends() {
  const clock = { nowMs: 0 };
  const wires: [Uint8Array[], Uint8Array[]] = [[], []];
  const make = (out: Uint8Array[], isFirst: boolean) =>
    createPulse(
      (frame) => out.push(frame),
      () => clock.nowMs,
      { isFirst, beatsPerHeartbeat },
    );
  const [a, b] = [make(wires[0], true), make(wires[1], false)];
  const deliver = () => {
    for (const frame of wires[0].splice(0)) expect(b.take(frame)).toBe(true);
    for (const frame of wires[1].splice(0)) expect(a.take(frame)).toBe(true);
  };
  return { clock, a, b, wires, deliver };
}

test("answers give the time there and back; those after the next question are late", () => {
  const { clock, a, deliver, wires } = ends();
  const quiet = beatsPerHeartbeat + 1;
  expect(a.read()).toEqual({ rttMs: undefined, rttWorstMs: undefined, asked: 0, late: 0 });
  for (const ms of [10, 30, 20]) {
    a.beat(quiet);
    clock.nowMs += ms;
    deliver();
    deliver();
  }
  expect(a.read()).toEqual({ rttMs: 20, rttWorstMs: 30, asked: 3, late: 0 });
  a.beat(quiet);
  const held = wires[0].splice(0);
  a.beat(quiet);
  wires[0].unshift(...held);
  clock.nowMs += 5;
  deliver();
  deliver();
  expect(a.read()).toEqual({ rttMs: 20, rttWorstMs: 30, asked: 5, late: 1 });
});

/** Lets both ends beat `count` times and counts what each of them sends. */
function beatQuietly({ a, b, wires }: ReturnType<typeof ends>, count: number) {
  const sent: [number, number] = [0, 0];
  const quiet: [number, number] = [0, 0];
  const carry = (from: 0 | 1, to: typeof a) => {
    for (const frame of wires[from].splice(0)) {
      sent[from] += 1;
      quiet[from] = 0;
      to.take(frame);
    }
  };
  for (let beat = 0; beat < count; beat += 1) {
    a.beat(++quiet[0]);
    b.beat(++quiet[1]);
    while (wires[0].length + wires[1].length > 0) {
      carry(0, b);
      carry(1, a);
    }
  }
  return sent;
}

/** New links ask oftener. */
function grownEnds() {
  const link = ends();
  beatQuietly(link, 8 * beatsPerHeartbeat);
  return link;
}

test("a new link is asked on from both ends at every heartbeat, four times", () => {
  const link = ends();
  for (let beat = 0; beat < 1 + 12 * beatsPerHeartbeat; beat += 1) {
    link.a.beat(1);
    link.b.beat(1);
    link.deliver();
    link.deliver();
    if (beat === 0) expect([link.a.read().asked, link.b.read().asked]).toEqual([1, 0]);
    if (beat === 3 * beatsPerHeartbeat) expect(link.a.read().asked).toBe(4);
    if (beat === 4 * beatsPerHeartbeat) expect(link.b.read().asked).toBe(4);
  }
  // From then on every fourth, as it is never quiet.
  expect([link.a.read().asked, link.b.read().asked]).toEqual([6, 6]);
});

test("on a quiet link the ends take turns: each says one thing in the time of a heartbeat", () => {
  const link = grownEnds();
  const heartbeats = 40;
  expect(beatQuietly(link, heartbeats * beatsPerHeartbeat)).toEqual([heartbeats, heartbeats]);
  expect([link.a.read().late, link.b.read().late]).toEqual([0, 0]);
  expect([link.a.read().asked, link.b.read().asked]).toEqual([16, 16]);
});

test("two ends that asked at once do not go on doing so", () => {
  const link = grownEnds();
  link.a.beat(beatsPerHeartbeat + 1);
  link.b.beat(beatsPerHeartbeat + 1);
  link.deliver();
  link.deliver();
  const heartbeats = 40;
  const sent = beatQuietly(link, heartbeats * beatsPerHeartbeat);
  expect(Math.max(...sent)).toBeLessThanOrEqual(heartbeats + 1);
  expect(Math.min(...sent)).toBeGreaterThanOrEqual(heartbeats - 1);
});

test("only the last questions count, and other frames are left alone", () => {
  const { clock, a, deliver } = ends();
  for (let at = 0; at < 3 * pulseBounds.kept; at += 1) {
    a.beat(beatsPerHeartbeat + 1);
    clock.nowMs += at;
    deliver();
    deliver();
  }
  expect(a.read().asked).toBe(pulseBounds.kept);
  expect(a.take(encodeMessage({ kind: "probe", peer: "p" }))).toBe(false);
  expect(a.take(Uint8Array.of())).toBe(false);
  expect(() => a.take(Uint8Array.of(0x9a, 1, 0x7f))).toThrow();
});
