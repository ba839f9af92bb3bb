// A meter whose figures Prometheus can scrape. Only a node that was asked for figures loads this.

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Labels, LabelValues, Meter, Metric } from "./metric.ts";

/** A metric of the library: only what is used of it here. */
type Held = Counter | Gauge | Histogram;

const other = "other";

/** Creates a meter of these metrics. Counters with few listed labels begin with a series of 0. */
export function createMeter(metrics: readonly Metric[]): Meter {
  const registry = new Registry();
  const heldByName = new Map<string, Held>();
  const readers: (() => void)[] = [];
  const { bounded, forget } = boundLabels();
  for (const metric of metrics) {
    const held = create(metric, registry);
    heldByName.set(metric.name, held);
    // A series that begins with 0 shows its first event as a rate, and can be told from no series.
    if (held instanceof Counter) for (const labels of combinations(metric)) held.inc(labels, 0);
  }

  function heldOf<K extends Held>(metric: Metric, kind: abstract new (...of: never[]) => K): K {
    const held = heldByName.get(metric.name);
    if (held instanceof kind) return held;
    throw new Error(`${metric.name} is not a ${kind.name} of this meter`);
  }

  return {
    contentType: registry.contentType,
    add: (metric, labels, by = 1) => heldOf(metric, Counter).inc(bounded(metric, labels), by),
    observe: (metric, labels, value) => {
      heldOf(metric, Histogram).observe(bounded(metric, labels), value);
    },
    set: (metric, labels, value) => {
      const told = bounded(metric, labels);
      if (metric.kind === "gauge") {
        if (!Object.values(told).includes(other)) heldOf(metric, Gauge).set(told, value);
        return;
      }
      const held = heldOf(metric, Counter);
      held.remove(told);
      held.inc(told, value);
    },
    clear: (metric) => {
      heldByName.get(metric.name)?.reset();
      forget(metric);
    },
    beforeAnswer: (read) => readers.push(read),
    render: () => {
      for (const read of readers) read();
      return registry.metrics();
    },
  };
}

function create({ kind, name, help, labels, buckets }: Metric, registry: Registry): Held {
  const options = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  if (kind === "counter") return new Counter(options);
  if (kind === "gauge") return new Gauge(options);
  return new Histogram({ ...options, buckets: [...buckets] });
}

/** More combinations than these wait for their first event. */
const combinationsMax = 16;

/** Every combination of listed values; none where a label's values are not listed. */
function combinations({ labels }: Metric): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    if (typeof values === "number") return [];
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return all.length > combinationsMax ? [] : all;
}

/** Replaces values beyond a label's bound. */
function boundLabels() {
  const seenByLabel = new Map<string, Set<string>>();
  const keyOf = (metric: Metric, label: string) => `${metric.name} ${label}`;
  return {
    bounded: <L extends Labels>(metric: Metric<L>, given: LabelValues<L>) => {
      const told: Record<string, string> = {};
      for (const [name, allowed] of Object.entries(metric.labels)) {
        const value = given[name] ?? other;
        told[name] = isWithin(keyOf(metric, name), value, allowed) ? value : other;
      }
      return told;
    },
    forget: (metric: Metric) => {
      for (const name of Object.keys(metric.labels)) seenByLabel.delete(keyOf(metric, name));
    },
  };

  function isWithin(label: string, value: string, allowed: readonly string[] | number): boolean {
    if (typeof allowed !== "number") return allowed.includes(value);
    const seen = seenByLabel.get(label) ?? new Set();
    seenByLabel.set(label, seen);
    if (seen.size < allowed) seen.add(value);
    return seen.has(value);
  }
}
