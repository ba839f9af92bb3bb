import { expect, test } from "vitest";
import { createPulse, pulseBounds } from "../../../src/mesh/pulse.ts";
import { encodeMessage } from "../../../src/wire/mesh-codec.ts";

/** Two ends; what they send waits until it is delivered. */
function ends() {
  const clock = { nowMs: 0 };
  const wires: [Uint8Array[], Uint8Array[]] = [[], []];
  const make = (out: Uint8Array[]) =>
    createPulse(
      (frame) => out.push(frame),
      () => clock.nowMs,
    );
  const [a, b] = [make(wires[0]), make(wires[1])];
  const deliver = () => {
    for (const frame of wires[0].splice(0)) expect(b.take(frame)).toBe(true);
    for (const frame of wires[1].splice(0)) expect(a.take(frame)).toBe(true);
  };
  return { clock, a, b, wires, deliver };
}

test("answers give the time there and back; those after the next question are late", () => {
  const { clock, a, deliver, wires } = ends();
  expect(a.read()).toEqual({ rttMs: undefined, rttWorstMs: undefined, asked: 0, late: 0 });
  for (const ms of [10, 30, 20]) {
    a.beat();
    a.beat();
    clock.nowMs += ms;
    deliver();
    deliver();
  }
  expect(a.read()).toEqual({ rttMs: 20, rttWorstMs: 30, asked: 3, late: 0 });
  a.beat();
  const held = wires[0].splice(0);
  a.beat();
  a.beat();
  wires[0].unshift(...held);
  clock.nowMs += 5;
  deliver();
  deliver();
  expect(a.read()).toEqual({ rttMs: 20, rttWorstMs: 30, asked: 5, late: 1 });
});

test("only the last questions count, and other frames are left alone", () => {
  const { clock, a, deliver } = ends();
  for (let at = 0; at < 3 * pulseBounds.kept; at += 1) {
    a.beat();
    a.beat();
    clock.nowMs += at;
    deliver();
    deliver();
  }
  expect(a.read().asked).toBe(pulseBounds.kept);
  expect(a.take(encodeMessage({ kind: "probe", peer: "p" }))).toBe(false);
  expect(a.take(Uint8Array.of())).toBe(false);
  expect(() => a.take(Uint8Array.of(0x9a, 1, 0x7f))).toThrow();
});
