import { expect, test } from "vitest";
import { HouseToolchain, kitOfToolchain } from "../../../src/core/house-toolchain.ts";
import { loadOf } from "../../support/core-values.ts";
import { LedgerBench as Bench, failure, sent } from "../../support/ledger-bench.ts";

const having = (...toolchain: readonly string[]) => ({ properties: { toolchain } });

test("a name begins with the kind of its tools", () => {
  expect(kitOfToolchain("cpp-gcc-12-aa")).toBe("cpp");
  expect(kitOfToolchain("")).toBe("");
});

test("a node without workers stands for most slots, and for the same as long as it can", () => {
  const house = new HouseToolchain();
  expect(house.choose([])).toBe("");
  const small = loadOf("a", { slots: 1, ...having("cpp-x-1", "system-1") });
  const large = loadOf("b", { slots: 4, ...having("system-2") });
  expect(house.choose([small, large])).toBe("system-2");
  const crowd = ["c", "d", "e"].map((name) => loadOf(name, { slots: 4, ...having("system-1") }));
  expect(house.choose([...crowd, large])).toBe("system-2");
  expect(house.choose(crowd)).toBe("system-1");
  // Nobody is there for a moment: what comes back is expected to be the same.
  expect(house.choose([])).toBe("system-1");
});

test("of two as good the one that every node would choose", () => {
  const [a, b] = ["system-a", "system-b"].map((name) => loadOf(name, having(name)));
  expect(new HouseToolchain().choose([b!, a!])).toBe("system-a");
});

test("an action whose toolchain no worker has is refused with both names", () => {
  const bench = new Bench();
  bench.join("a", having("cpp-gcc-12-aa", "go-go-bb", "system-cc"));
  bench.join("b", having("cpp-gcc-13-dd"));
  const refused = (toolchain: string) =>
    failure(bench.submit(toolchain, { properties: { toolchain } }));
  expect(refused("cpp-clang-16-ee")).toMatch(
    /toolchain cpp-clang-16-ee; they have cpp-gcc-12-aa, cpp-gcc-13-dd\..*toolchain:/,
  );
  expect(refused("rust-rustc-ff")).toMatch(/they have none of rust\./);
  const taken = bench.submit("x", { properties: { toolchain: "cpp-gcc-13-dd" } });
  expect(sent(taken)).toEqual([expect.stringMatching(/^offer .*>b$/)]);
});

test("what a node's own workers will have waits for them", () => {
  const bench = new Bench({}, () => having("system-1").properties);
  bench.isStealing = true;
  bench.join("guest", { home: "other", ...having("system-2") });
  expect(failure(bench.submit("x", { properties: { toolchain: "system-3" } }))).toBeDefined();
  expect(sent(bench.submit("y", { properties: { toolchain: "system-1" } }))).toEqual([]);
  expect(sent(bench.join("own", { home: "i", ...having("system-1") }))).toEqual([
    expect.stringMatching(/^offer .*>own$/),
  ]);
});
