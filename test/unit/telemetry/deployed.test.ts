// What people deploy beside a node speaks of figures that exist, with labels and values they have.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { allMetrics } from "../../../src/node/metrics.ts";
import type { Metric } from "../../../src/telemetry/metric.ts";
import { createMeter } from "../../../src/telemetry/prometheus.ts";
import { root } from "../../support/programs.ts";

const alertsPath = join(root, "deploy/prometheus/alerts.yaml");
const alerts: { groups: { rules: { alert: string; expr: string; annotations: object }[] }[] } =
  parse(readFileSync(alertsPath, "utf8"));
const dashboardText = readFileSync(join(root, "deploy/grafana/dashboard.json"), "utf8");
const dashboard: unknown = JSON.parse(dashboardText);

/** Every text under one of these keys, however deep. */
function textsOf(value: unknown, keys: readonly string[], key = ""): string[] {
  if (typeof value === "string") return keys.includes(key) ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    textsOf(inner, keys, Array.isArray(value) ? key : name),
  );
}

const alertTexts = alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
const panelTexts = textsOf(dashboard, ["expr", "definition"]);

const metricByName = new Map<string, Metric>(allMetrics.map((metric) => [metric.name, metric]));

/** The metric that a series name belongs to: histograms have three. */
function metricOf(series: string): Metric | undefined {
  const base = series.replace(/_(bucket|sum|count)$/, "");
  const found = metricByName.get(series) ?? metricByName.get(base);
  const isPart = found?.name !== series;
  return found !== undefined && isPart === (found.kind === "histogram") ? found : undefined;
}

/** What is wrong with an expression; its series, their labels and the values compared with. */
function problemsOf(text: string): string[] {
  const selectors = [...text.matchAll(/\b(builder_[a-z_]+)(?:\{([^}]*)\})?/g)];
  return selectors.flatMap(([, series = "", matchers = ""]) => {
    const metric = metricOf(series);
    if (metric === undefined) return [`${series} does not exist`];
    return [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)].flatMap(
      ([, label = "", values = ""]) => {
        if (["instance", "job", "le"].includes(label)) return [];
        const allowed = metric.labels[label];
        if (allowed === undefined) return [`${series} has no label ${label}`];
        if (typeof allowed === "number") return [];
        return values
          .split("|")
          .filter((value) => !allowed.includes(value))
          .map((value) => `${series} is never ${label}="${value}"`);
      },
    );
  });
}

test("every figure, label and value that an alert looks at exists", () => {
  expect(alertTexts.length).toBeGreaterThan(10);
  expect(alertTexts.flatMap(problemsOf)).toEqual([]);
});

test("every figure, label and value that the dashboard shows exists", () => {
  expect(panelTexts.length).toBeGreaterThan(30);
  expect(panelTexts.flatMap(problemsOf)).toEqual([]);
});

test("the check finds what does not exist", () => {
  expect(problemsOf("rate(builder_core_apples_total[5m])")).toHaveLength(1);
  expect(problemsOf('builder_core_actions{colour="red"}')).toHaveLength(1);
  expect(problemsOf('builder_core_actions{state=~"pending|lost"}')).toHaveLength(1);
  expect(problemsOf("builder_core_action_wait_seconds")).toHaveLength(1);
  expect(problemsOf("builder_core_actions_bucket")).toHaveLength(1);
});

test("labels that expressions group by and texts show are labels of theirs", () => {
  for (const text of [...alertTexts, ...panelTexts]) {
    const named = [...text.matchAll(/\b(?:by|on|without)\s*\(([^)]*)\)/g)].flatMap(
      ([, list = ""]) => list.split(",").map((label) => label.trim()),
    );
    const known = [...text.matchAll(/\bbuilder_[a-z_]+/g)].flatMap(([series]) =>
      Object.keys(metricOf(series)?.labels ?? {}),
    );
    for (const label of named) {
      expect([...known, "instance", "job", "le"], text).toContain(label);
    }
  }
});

test("what each part of a node counts is looked at by somebody", () => {
  const texts = [...alertTexts, ...panelTexts].join("\n");
  const unseen = allMetrics.filter(({ name }) => !texts.includes(name)).map(({ name }) => name);
  // These are for whoever asks a question of their own.
  expect(unseen.length, unseen.join(", ")).toBeLessThan(allMetrics.length / 3);
});

test("every alert says what to do", () => {
  for (const { rules } of alerts.groups) {
    for (const { alert, annotations } of rules) {
      expect(annotations, alert).toMatchObject({
        summary: expect.stringMatching(/\S/),
        description: expect.stringMatching(/\.$/),
      });
    }
  }
});

const promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].find(existsSync);
if (promtool === undefined)
  process.stderr.write("SKIPPED promtool's checks: there is none here (apt install prometheus)\n");

describe.skipIf(promtool === undefined)("promtool", () => {
  test("takes the alerts", () => {
    expect(execFileSync(promtool ?? "", ["check", "rules", alertsPath]).toString()).toContain(
      "SUCCESS",
    );
  });

  test("takes what a node answers, and finds no name against the conventions", async () => {
    const meter = createMeter(allMetrics);
    const input = await meter.render();
    expect(execFileSync(promtool ?? "", ["check", "metrics"], { input }).toString()).toBe("");
  });
});
