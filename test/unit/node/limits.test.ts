import { expect, test } from "vitest";
import { defaultLimits, parseActionLimits } from "../../../src/node/limits.ts";
import { readActionLimits } from "../../../src/worker/action-limits.ts";

test("ceilings are read by the names that Builderfiles use", () => {
  expect(parseActionLimits("max_memory=8GiB, timeout=2h,max_cpu=1.5,max_processes=64")).toEqual({
    ...{ memoryBytes: 8 * 2 ** 30, wallMs: 7_200_000, cpus: 1.5, pids: 64 },
  });
  expect(parseActionLimits("network=off,max_processes=64")).toEqual({ network: false, pids: 64 });
  expect(parseActionLimits("network=on")).toEqual({ network: true });
});

test("what makes no sense is refused with what would", () => {
  const wrong: [string, RegExp][] = [
    ["memory=8GiB", /no limit "memory".*max_memory/],
    ["", /no limit ""/],
    ["max_memory", /max_memory wants a size such as 8GiB, not ""/],
    ["timeout=5", /timeout wants a duration such as 2h/],
    ["max_processes=1.5", /whole number above 0/],
    ["max_cpu=0", /number above 0/],
    ["max_log=1,max_log=2", /max_log twice/],
    ["network=1", /network wants on or off, not "1"/],
    ["network=on,network=off", /network twice/],
  ];
  for (const [text, why] of wrong) expect(() => parseActionLimits(text)).toThrow(why);
});

test("every default is a number above 0", () => {
  const { limits } = readActionLimits(new Map(), undefined, defaultLimits(2));
  for (const value of Object.values(limits)) expect(value).toBeGreaterThan(0);
});
