import { availableParallelism } from "node:os";
import { Command } from "commander";
import { expect, test } from "vitest";
import { addMannersFlags, readManners } from "../../../cli/manners-flags.ts";
import { resolveServeConfig } from "../../../src/node/config.ts";
import { defaultManners } from "../../../src/node/manners.ts";

function read(...args: readonly string[]) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  addMannersFlags(command);
  command.parse([...args], { from: "user" });
  return readManners(command.opts());
}

test("without flags a machine gives half on battery, is nice, and holds nothing else back", () => {
  expect(read()).toEqual(defaultManners);
  expect(defaultManners).toMatchObject({ onBattery: "slow", whenIdle: false, nice: 10 });
});

test("flags say the rest", () => {
  const flags = ["--on-battery", "pause", "--when-hot", "slow", "--when-idle", "--nice", "5"];
  expect(read(...flags, "--max-cpu", "1.5", "--max-memory", "4GiB")).toEqual({
    onBattery: "pause",
    whenHot: "slow",
    whenIdle: true,
    cpusMax: 1.5,
    memoryBytesMax: 4 * 2 ** 30,
    nice: 5,
  });
  expect(read("--max-cpu", "50%").cpusMax).toBe(availableParallelism() / 2);
});

test.each([
  ["--on-battery", "walk"],
  ["--max-cpu", "0"],
  ["--max-cpu", "101%"],
  ["--max-cpu", "many"],
  ["--max-memory", "0"],
  ["--nice", "20"],
  ["--nice", "-5"],
])("%s %s is refused", (flag, value) => {
  expect(() => read(flag, value)).toThrow(/invalid|missing/);
});

test("niceness is what tells actions from other programs", () => {
  const manners = { ...defaultManners, cpusMax: 2, nice: 0 };
  expect(() => resolveServeConfig({ manners })).toThrow(/--nice 1 or more/);
  expect(resolveServeConfig({ manners: { ...manners, nice: 1 } }).manners.nice).toBe(1);
});
