import { expect, test } from "vitest";
import { DayHistory } from "../../../src/core/day-history.ts";
import { erlangSlots } from "../../../src/core/erlang.ts";
import { Forecast } from "../../../src/core/forecast.ts";

const hourMs = 3_600_000;

test("Erlang-C gives the published numbers of slots", () => {
  const slots = (waits: number) => [1, 4, 16, 64, 256].map((load) => erlangSlots(load, waits, 999));
  expect(slots(0.2)).toEqual([3, 7, 21, 73, 274]);
  expect(slots(0.05)).toEqual([4, 9, 24, 79, 285]);
  expect([erlangSlots(0, 0.2, 999), erlangSlots(500, 0.2, 40)]).toEqual([0, 40]);
});

test("a constant is forecast as itself, without error", () => {
  const forecast = new Forecast();
  for (let step = 0; step < 100; step += 1) forecast.observe(12, step * 10_000, 70_000);
  expect(forecast.expected).toBeCloseTo(12);
  expect(forecast.trendPerStep).toBeCloseTo(0);
  expect(forecast.error).toBeCloseTo(0);
});

test("a climb is seen coming, and a fall never goes below nothing", () => {
  const forecast = new Forecast();
  for (let step = 0; step < 300; step += 1) forecast.observe(step, step * 10_000, 70_000);
  expect(forecast.trendPerStep).toBeGreaterThan(0.5);
  const atTop = forecast.expected;
  expect(atTop).toBeGreaterThan(280);
  for (let step = 300; step < 600; step += 1) forecast.observe(0, step * 10_000, 70_000);
  expect(forecast.expected).toBeLessThan(1);
  expect(forecast.expected).toBeGreaterThanOrEqual(0);
});

test("one step told often counts once, by its largest value", () => {
  const once = new Forecast();
  const often = new Forecast();
  for (let step = 0; step < 50; step += 1) {
    once.observe(step % 7, step * 10_000, 70_000);
    for (const value of [0, step % 7, step % 3]) {
      often.observe(Math.min(value, step % 7), step * 10_000 + value, 70_000);
    }
  }
  expect(often.expected).toBe(once.expected);
});

test("a clock that leaps or goes back starts the forecast anew", () => {
  const forecast = new Forecast();
  for (let step = 0; step < 50; step += 1) forecast.observe(40, step * 10_000, 70_000);
  forecast.observe(3, 30 * 24 * hourMs, 70_000);
  expect(forecast.expected).toBe(3);
  forecast.observe(5, hourMs, 70_000);
  expect([forecast.expected, forecast.error]).toEqual([5, undefined]);
});

test("after three days the time of the day counts", () => {
  const forecast = new Forecast();
  const valueAt = (ms: number) => ((ms / hourMs) % 24 >= 9 && (ms / hourMs) % 24 < 18 ? 50 : 2);
  let beforeNine: number[] = [];
  for (let ms = 0; ms < 4 * 24 * hourMs; ms += 10_000) {
    forecast.observe(valueAt(ms), ms, 70_000);
    if (ms % (24 * hourMs) === 9 * hourMs - 60_000) beforeNine = [...beforeNine, forecast.expected];
  }
  expect(beforeNine[0]).toBeLessThan(10);
  expect(beforeNine.at(-1)).toBeGreaterThan(30);
  expect(forecast.usualAt(12 * hourMs, 0.9)).toBe(50);
  expect(forecast.usualAt(3 * hourMs, 0.9)).toBe(2);
});

test("a history knows nothing before a whole day and forgets what is over a week old", () => {
  const history = new DayHistory();
  for (let ms = 0; ms < 20 * hourMs; ms += 60_000) history.record(1, ms);
  expect([history.days, history.quantile(0.9, 20 * hourMs)]).toEqual([0, undefined]);
  for (let ms = 20 * hourMs; ms < 9 * 24 * hourMs; ms += 60_000) history.record(3, ms);
  expect(history.days).toBe(7);
  expect(history.quantile(0, 5 * hourMs)).toBe(3);
  expect(history.offset(5 * hourMs, 3)).toBe(0);
});
