import { expect, test } from "vitest";
import { allMetrics } from "../../../src/node/metrics.ts";
import { counter, gauge, histogram } from "../../../src/telemetry/metric.ts";
import { createMeter } from "../../../src/telemetry/prometheus.ts";

const eaten = counter("builder_test_apples_total", "Apples eaten.", { kind: ["red", "green"] });
const free = counter("builder_test_trees_total", "Trees seen.", { tree: 3 });
const basket = gauge("builder_test_basket_bytes", "What a basket weighs.", { basket: 2 });
const bite = histogram("builder_test_bite_seconds", "How long a bite takes.", {}, [1, 2]);

const meterOf = () => createMeter([eaten, free, basket, bite]);

test("a counter with listed labels begins at 0", async () => {
  expect(await meterOf().render()).toContain('builder_test_apples_total{kind="red"} 0');
});

test("a value that is not listed, or one too many, counts as other", async () => {
  const meter = meterOf();
  meter.add(eaten, { kind: "blue" });
  for (let tree = 0; tree < 1000; tree += 1) meter.add(free, { tree: `tree-${tree}` });
  const text = await meter.render();
  expect(text).toContain('builder_test_apples_total{kind="other"} 1');
  expect(text).toContain('builder_test_trees_total{tree="other"} 997');
  expect(text.match(/^builder_test_trees_total/gm)).toHaveLength(4);
});

test("a gauge leaves out what is beyond its bound, and has room again once it is cleared", async () => {
  const meter = meterOf();
  const show = (...names: string[]) => {
    meter.clear(basket);
    for (const name of names) meter.set(basket, { basket: name }, 5);
  };
  show("a", "b", "c");
  expect(await meter.render()).not.toMatch(/basket="(c|other)"/);
  show("c");
  const text = await meter.render();
  expect(text).toContain('builder_test_basket_bytes{basket="c"} 5');
  expect(text).not.toContain('basket="a"');
});

test("a total that is kept elsewhere is told as it is", async () => {
  const meter = meterOf();
  meter.set(eaten, { kind: "red" }, 5);
  meter.set(eaten, { kind: "red" }, 7);
  expect(await meter.render()).toContain('builder_test_apples_total{kind="red"} 7');
});

test("a hostile label value stays inside its quotes", async () => {
  const meter = meterOf();
  meter.add(free, { tree: 'x"} 1\nbuilder_test_apples_total 99 \\' });
  const text = await meter.render();
  expect(text.match(/^builder_test_apples_total 99/m)).toBeNull();
  expect(text).toContain('tree="x\\"} 1\\nbuilder_test_apples_total 99 \\\\"');
});

test("figures are read anew for each answer", async () => {
  const meter = meterOf();
  let weight = 1;
  meter.beforeAnswer(() => meter.set(basket, { basket: "a" }, weight));
  await meter.render();
  weight = 2;
  expect(await meter.render()).toContain('builder_test_basket_bytes{basket="a"} 2');
});

test("every figure of a node is named by the rule: builder, folder, thing, unit", () => {
  for (const { kind, name, help } of allMetrics) {
    expect(name).toMatch(/^builder_(core|cas|mesh|ingress|sandbox|node)_[a-z_]+$/);
    expect(name.endsWith("_total"), name).toBe(kind === "counter");
    expect(name, "no milliseconds, no percents").not.toMatch(/_(ms|percent|mib)(_|$)/);
    if (kind === "histogram") expect(name).toMatch(/_(seconds|bytes)$/);
    expect(help).toMatch(/\.$/);
  }
  expect(new Set(allMetrics.map(({ name }) => name)).size).toBe(allMetrics.length);
});
