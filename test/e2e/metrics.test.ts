import { get } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;
let metrics: string;

beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "1", "--slots", "2", "--metrics", ":0"]);
  metrics = /Metrics: (http:\S+)/.exec(node.said())?.[1] ?? "";
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

/** Over a connection of its own, as a scraper that comes by for the first time. */
function scrape(): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get(metrics, { agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve(text));
      expect(answer.statusCode).toBe(200);
      expect(answer.headers["content-type"]).toContain("version=0.0.4");
    });
    asked.on("error", reject);
  });
}

/** The value of one series; undefined where there is none. */
function seriesValue(text: string, series: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

/** Scrapes until a series is as it must be; a refused scrape is tried again. */
async function shows(series: string, isRight: (value: number) => boolean): Promise<void> {
  let last: number | undefined;
  await eventually(
    `${series} is right`,
    async () => {
      const text = await scrape().catch(() => "");
      last = seriesValue(text, series);
      return last !== undefined && isRight(last);
    },
    60_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it is ${last}`);
  });
}

test("counts a build: actions, phases, lookups and calls agree with what was built", async () => {
  const workspace = place.example("remote-execution");
  const built = await run(place, workspace, "bldr", [
    ...["build", "cpp_project", `--remote=${node.address}`, "--json"],
  ]);
  expect(built.code, built.stderr).toBe(0);
  const events: { kind: string; how?: string }[] = built.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const ran = events.filter(({ kind, how }) => kind === "action" && how === "ran").length;
  expect(ran).toBeGreaterThan(1);
  for (const series of [
    "builder_core_actions_accepted_total",
    'builder_core_actions_ended_total{result="succeeded"}',
    "builder_core_action_wait_seconds_count",
    'builder_core_action_phase_seconds_count{phase="run"}',
    'builder_cas_result_lookups_total{result="miss"}',
    'builder_ingress_calls_total{method="Execution/Execute",code="OK"}',
  ]) {
    await shows(series, (value) => value === ran);
  }
  const text = await scrape();
  expect(seriesValue(text, 'builder_core_slots{state="free"}')).toBe(2);
  expect(seriesValue(text, 'builder_core_members{state="alive"}')).toBe(1);
  // Whoever is alone leads too, but not before it has listened for others.
  await shows("builder_core_coordinator", (value) => value === 1);
  expect(seriesValue(text, "builder_cas_store_bytes")).toBeGreaterThan(1000);
});

test("workers tell their figures to the node of their host", async () => {
  await shows('builder_node_resident_bytes{process="worker-1"}', (value) => value > 1 << 20);
  await shows('builder_node_cpu_seconds_total{process="worker-1"}', (value) => value > 0);
  await shows('builder_sandbox_cpu_seconds_total{mode="user"}', (value) => value > 0);
  await shows('builder_sandbox_memory_peak_bytes{process="worker-1"}', (value) => value >= 0);
  await shows('builder_node_event_loop_lag_seconds{process="node"}', (value) => value >= 0);
});

test("a hundred clients that ask and never read keep nobody from an answer", async () => {
  const { hostname, port } = new URL(metrics);
  const silent: Socket[] = [];
  try {
    for (let count = 0; count < 100; count += 1) {
      const socket = connect(Number(port), hostname, () => {
        for (let asked = 0; asked < 20; asked += 1) {
          socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        }
      });
      socket.on("error", () => undefined);
      socket.pause();
      silent.push(socket);
    }
    // Those who do not read lose their place within seconds.
    await shows("builder_core_term", (value) => value >= 0);
    const built = await run(place, place.example("remote-execution"), "bldr", [
      ...["build", "cpp_project", `--remote=${node.address}`],
    ]);
    expect(built.code, built.stderr).toBe(0);
  } finally {
    for (const socket of silent) socket.destroy();
  }
});

test("answers nothing but figures, and refuses a port that is taken", async () => {
  expect((await fetch(new URL("/", metrics))).status).toBe(404);
  expect((await fetch(metrics, { method: "POST" })).status).toBe(405);
  const { host } = new URL(metrics);
  const second = await run(place, place.folder, "builder", [
    ...["serve", "--remote", "--coordinator", "127.0.0.1:0", "--metrics", host],
    ...["--store", `${place.folder}/second`],
  ]);
  expect(second.stderr).toContain("is in use (--metrics");
  expect(second.code).toBe(3);
});
