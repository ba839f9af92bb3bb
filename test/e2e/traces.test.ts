import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, run, startNode } from "../support/programs.ts";
import {
  type CollectedSpan,
  startTraceCollector,
  type TraceCollector,
} from "../support/trace-collector.ts";

let place: Place;
let collector: TraceCollector;

beforeAll(async () => {
  place = createPlace();
  collector = await startTraceCollector();
});
afterAll(async () => {
  await collector.close();
  place.remove();
});

/** Builds what no test has built before. */
function build(address: string, ...more: string[]) {
  const workspace = place.example("remote-execution");
  appendFileSync(join(workspace, "src/main.cpp"), `// ${randomUUID()}\n`);
  return run(place, workspace, "bldr", ["build", "cpp_project", `--remote=${address}`, ...more]);
}

function childrenOf(span: CollectedSpan): CollectedSpan[] {
  return collector.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId);
}

test("an action's way is one tree of spans in the trace of its client's invocation", async () => {
  const node = await startNode(place, ["--workers-min", "1", "--traces", collector.url]);
  try {
    const built = await build(node.address, "--json");
    expect(built.code, built.stderr).toBe(0);
    const ran = built.stdout.split("\n").filter((line) => line.includes('"how":"ran"')).length;
    const actions = () => collector.spans.filter(({ name }) => name === "action");
    await eventually("every action has its span", () => actions().length === ran, 60_000);
    expect(new Set(actions().map(({ traceId }) => traceId)).size).toBe(1);
    for (const action of actions()) {
      const invocation = String(action.attributes["builder.invocation"]);
      expect(action.traceId).toBe(invocation.replaceAll("-", ""));
      expect(action.parentSpanId).toBeUndefined();
      expect(action.attributes).toMatchObject({ "builder.exit_code": 0 });
      expect(action.resource).toMatchObject({ "service.name": "builder" });
      expect(childrenOf(action).map(({ name }) => name)).toEqual(["queued", "attempt"]);
      const [, attempt] = childrenOf(action);
      expect(attempt?.attributes).toMatchObject({ "builder.worker": "worker-1" });
      const phases = attempt === undefined ? [] : childrenOf(attempt);
      expect(phases.map(({ name }) => name)).toEqual(["fetch", "set-up", "run", "store"]);
      for (const span of [...childrenOf(action), ...phases]) {
        expect(span.traceId).toBe(action.traceId);
        expect(span.startNs >= action.startNs && span.endNs <= action.endNs).toBe(true);
        expect(span.endNs >= span.startNs).toBe(true);
      }
    }
  } finally {
    await node.stop();
  }
});

test("the standard variables name the collector, its headers and the service", async () => {
  const before = collector.spans.length;
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=planted-secret",
    OTEL_SERVICE_NAME: "our-builds",
  };
  const elsewhere = { ...place, env: { ...place.env, ...env } };
  const node = await startNode(elsewhere, ["--workers-min", "1", "--log-level", "debug"]);
  try {
    const built = await build(node.address);
    expect(built.code, built.stderr).toBe(0);
    await eventually("spans come", () => collector.spans.length > before, 60_000);
    expect(collector.spans.at(-1)?.resource).toMatchObject({ "service.name": "our-builds" });
    expect(collector.headers()).toMatchObject({ "x-key": "planted-secret" });
  } finally {
    await node.stop();
  }
  expect(node.said()).not.toContain("planted-secret");
});

test("a collector that takes connections and never answers delays no build, and drops are counted", async () => {
  const silent: Server = createServer((socket) => socket.on("error", () => undefined).pause());
  await new Promise<void>((ready) => silent.listen(0, "127.0.0.1", ready));
  const { port } = silent.address() as AddressInfo;
  const traces = ["--traces", `http://127.0.0.1:${port}`, "--metrics", ":0"];
  const node = await startNode(place, ["--workers-min", "1", ...traces]);
  try {
    const built = await build(node.address);
    expect(built.code, built.stderr).toBe(0);
    const metrics = /Metrics: (\S+)/.exec(node.said())?.[1] ?? "";
    await eventually(
      "what was not taken is counted",
      async () => {
        const text = await (await fetch(metrics)).text();
        const count = /^builder_node_spans_total\{result="dropped"\} (\d+)$/m.exec(text)?.[1];
        return Number(count) > 0;
      },
      60_000,
    );
    expect(node.said()).toMatch(/\[WARN\] The collector at http:\S+ does not get all traces/);
  } finally {
    expect(await node.stop()).toBe(0);
    silent.close();
  }
});

test("what cannot be a collector is refused by name, a password is not taken", async () => {
  for (const url of ["collector:4318", "http://user:secret@127.0.0.1:4318"]) {
    const refused = await run(place, place.folder, "builder", [
      ...["serve", "--remote", "--traces", url, "--print-config"],
    ]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--traces");
    expect(refused.stderr).not.toContain("secret@");
  }
});
