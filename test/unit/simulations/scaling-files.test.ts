import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { paretoFront, regret } from "../../../simulations/scaling/front.ts";
import { readTrace } from "../../../simulations/scaling/read-trace.ts";
import { parseScenario } from "../../../simulations/scaling/scenario-file.ts";
import { sweepPoints } from "../../../simulations/scaling/sweep.ts";
import { formatRecord, type ScalingRecord } from "../../../src/core/scaling-record.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "builder-traces-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(content: string | Buffer): string {
  const file = join(folder, `${Math.random()}`.slice(2));
  writeFileSync(file, content);
  return file;
}

async function read(content: string | Buffer) {
  const { builds, durationsMs, graph } = await readTrace(fileOf(content));
  const shape = builds.map(({ atMs, parallelism, count }) => [atMs, parallelism, count]);
  return { builds: shape, durationsMs: [...durationsMs], graph };
}

describe("a trace", () => {
  test("of our own mesh: builds by invocation, cut where nothing was open for a minute", async () => {
    const action = (atMs: number, invocation: number, waitMs = 0): ScalingRecord => {
      return { record: "action", atMs, waitMs, runMs: 2_000, invocation, kind: 1, lost: 0 };
    };
    const records: ScalingRecord[] = [
      { record: "head", format: "builder-scaling-record", version: 1, atMs: 1e12 },
      action(1e12 + 5_000, 1),
      action(1e12 + 5_000, 1, 2_000),
      action(1e12 + 1_000, 2),
      action(1e12 + 200_000, 1),
    ];
    const text = records.map(formatRecord).join("");
    const { builds, durationsMs } = await read(`${text}{"record":"of a later version"}\n`);
    expect(builds).toEqual([
      [0, 1, 1],
      [4_000, 2, 2],
      [199_000, 1, 1],
    ]);
    expect(durationsMs).toEqual([2_000, 2_000, 2_000, 2_000]);
  });

  test("of ninja: outputs of one command are one action, a second build follows", async () => {
    const line = (start: number, end: number, output: string, command: string) =>
      `${start}\t${end}\t0\t${output}\t${command}`;
    const log = [
      "# ninja log v5",
      line(0, 500, "a.o", "1"),
      line(0, 500, "a.d", "1"),
      line(100, 900, "b.o", "2"),
      "a line cut sh",
      line(5, 25, "a.o", "1"),
    ];
    const { builds, durationsMs } = await read(log.join("\n"));
    expect(builds).toEqual([
      [0, 2, 2],
      [300_905, 1, 1],
    ]);
    expect(durationsMs).toEqual([500, 800, 20]);
  });

  test("of Bazel: actions by their category, gzipped or not, however the text is cut", async () => {
    const event = (ts: number, dur: number, cat: string) =>
      JSON.stringify({ cat, name: 'a "}],[{" name', ph: "X", ts, dur, args: { mnemonic: "Cpp" } });
    const events = [
      event(1_000, 9, "general information"),
      event(2_000_000, 1_500_000, "action processing"),
      event(2_500_000, 250_000, "action processing"),
      '{"name":"thread_name","ph":"M"}',
    ];
    const profile = `{"otherData":{"build_id":"x"},"traceEvents":[\n${events.join(",\n")}\n]}`;
    const expected = { builds: [[0, 2, 2]], durationsMs: [1_500, 250], graph: undefined };
    expect(await read(profile)).toEqual(expected);
    expect(await read(gzipSync(profile))).toEqual(expected);
  });

  test("of WfFormat, 1.5 and 1.4: tasks wait for their parents", async () => {
    const specification = {
      tasks: [
        { id: "a", name: "first", parents: [], children: ["b"] },
        { id: "b", name: "second", parents: ["a"], children: [] },
      ],
    };
    const execution = {
      tasks: [
        { id: "a", runtimeInSeconds: 1.5 },
        { id: "b", runtimeInSeconds: 2 },
      ],
    };
    const newer = await read(JSON.stringify({ name: "w", workflow: { specification, execution } }));
    expect([newer.durationsMs, [...newer.graph!.awaited]]).toEqual([
      [1_500, 2_000],
      [0, 1],
    ]);
    const tasks = [
      { name: "b", runtime: 2, parents: ["a"] },
      { name: "a", runtime: 1, parents: [] },
    ];
    const older = await read(JSON.stringify({ workflow: { tasks } }));
    expect([older.durationsMs, [...older.graph!.awaited]]).toEqual([
      [2_000, 1_000],
      [1, 0],
    ]);
  });

  test("of a cluster (SWF): a job is a build as wide as its processors", async () => {
    const job = (words: number[]) =>
      [...words, ...Array.from({ length: 18 }, () => -1)].slice(0, 18).join(" ");
    const log = [
      "; Version: 2.2",
      job([1, 10, 3, 60, 4]),
      job([2, 20, 0, -1, 4]),
      job([3, 30, 0, 5, 1]),
    ];
    const { builds, durationsMs } = await read(log.join("\n"));
    expect(builds).toEqual([
      [10_000, 4, 4],
      [30_000, 1, 1],
    ]);
    expect(durationsMs).toEqual([60_000, 60_000, 60_000, 60_000, 5_000]);
  });

  test.each([
    ["empty", "", /is empty\. Give a record/],
    ["of another format", "hello\nworld\n", /is of no known format\. Give a record/],
    ["binary", Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2]), /is of no known format/],
    ["without an action", '{"traceEvents":[{"cat":"x"}]}', /holds no action that ran/],
    ["cut short", '{"traceEvents":[{"cat":"action processing","ts":1', /ends before its list/],
    ["damaged within", '{"actions":[{"ms":1},{"ms"}]}', /is no JSON at/],
    ["cut as gzip", gzipSync('{"actions":[{"ms":1}]}').subarray(0, 25), /damaged or cut short/],
    ["of circles", '{"workflow":{"tasks":[{"name":"a","runtime":1,"parents":["a"]}]}}', /circle/],
    [
      "with a bad dep",
      '{"actions":[{"ms":1,"deps":[7]}]}',
      /waits for 7, which is no action before/,
    ],
    ["without times", '{"actions":[{"deps":[]}]}', /action 0 has no ms/],
    [
      "of a later version",
      '{"record":"head","format":"builder-scaling-record","version":2}',
      /update/,
    ],
    [
      "a broken record",
      '{"record":"head","format":"builder-scaling-record","version":1}\n{"re',
      /:2 is no JSON/,
    ],
  ])("%s is refused with what to do", async (_, content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  test("that is not there is named", async () => {
    await expect(readTrace(join(folder, "none"))).rejects.toThrow(/none cannot be read/);
  });

  test("of more actions than fit is refused, not truncated", async () => {
    const rows = Array.from({ length: 11 }, (_, at) => `${at}\t${at + 5}\t0\to${at}\t${at}`);
    const file = fileOf(`# ninja log v5\n${rows.join("\n")}`);
    await expect(readTrace(file, { actionsMax: 10 })).rejects.toThrow(/more than 10 actions/);
    expect((await readTrace(file, { actionsMax: 11 })).durationsMs).toHaveLength(11);
  });
});

describe("a scenario", () => {
  test("left empty is the day of the research", () => {
    const { world, source } = parseScenario("", "s.yaml");
    expect(world.bounds).toMatchObject({ min: 2, max: 40, slotsPerMachine: 4, idleMs: 300_000 });
    expect(source).toMatchObject({ kind: "diurnal", options: { buildsPerDay: 350 } });
  });

  test("as YAML and as JSON says the same", () => {
    const yaml = "nodes: {min: 1, max: 9, owned: [8]}\nboot: 1s\n".replace(
      "boot: 1s\n",
      "idle: 90s\n",
    );
    const json = '{"nodes": {"min": 1, "max": 9, "owned": [8]}, "idle": "90s"}';
    expect(parseScenario(yaml, "s")).toEqual(parseScenario(json, "s"));
    expect(parseScenario(yaml, "s").world).toMatchObject({
      owned: [8],
      bounds: { idleMs: 90_000 },
    });
  });

  test("names a trace beside it", () => {
    const { source } = parseScenario("workload: {trace: day.jsonl, parallelism: 8}", "/a/b/s.yaml");
    expect(source).toEqual({ kind: "trace", file: "/a/b/day.jsonl", parallelism: 8 });
  });

  test.each([
    ["nodes: {mni: 1}", /there is no field nodes\.mni; there are boot, drain, max, min/],
    ["nodes: {min: 5, max: 3}", /nodes\.min is 5, over nodes\.max \(3\)/],
    ["nodes: {slots: 0}", /nodes\.slots wants a whole number from 1 to 1024/],
    ["idle: soon", /idle wants a time such as 45s/],
    ["order: any", /order wants one of fair, fifo/],
    ["interruptions: [{share: 2}]", /interruptions\.1\.share wants a share from 0 to 1/],
    ["- a list", /the whole wants an object/],
    ["nodes: {", /neither YAML nor JSON/],
    ["a: &a [*a, *a]", /s\.yaml/],
  ])("refuses %s", (text, message) => {
    expect(() => parseScenario(text, "s.yaml")).toThrow(message);
  });
});

describe("a sweep", () => {
  test("is every combination", () => {
    const points = sweepPoints(["target-wait=5s,10s", "warm-quantile=0.5"]);
    expect(points.map(({ label }) => label)).toEqual([
      "target-wait=5s warm-quantile=0.5",
      "target-wait=10s warm-quantile=0.5",
    ]);
    expect(points[1]).toMatchObject({
      bounds: { targetWaitMs: 10_000 },
      options: { warmQuantile: 0.5 },
    });
  });

  test.each([
    ["idle", /idle wants times/],
    ["idle=soon", /idle wants times such as 15s, not "soon"/],
    ["min=1.5", /min wants whole numbers/],
    ["wait-probability=0", /wait-probability wants shares/],
    ["color=red", /color cannot be swept; there are min, max/],
  ])("refuses %s", (text, message) => {
    expect(() => sweepPoints([text])).toThrow(message);
  });
});

test("regret is measured between two points of the oracle's front", () => {
  const point = (waitP95Ms: number, workerHours: number) => ({ waitP95Ms, workerHours });
  const knowing = [point(20, 10), point(10, 30), point(15, 40), point(0, 60)];
  expect(paretoFront(knowing)).toEqual([point(20, 10), point(10, 30), point(0, 60)]);
  expect(regret(point(15, 40), knowing)).toBeCloseTo(1);
  expect(regret(point(99, 20), knowing)).toBeCloseTo(1);
  expect(regret(point(0, 60), knowing)).toBeCloseTo(0);
  expect(regret(point(-1, 60), knowing)).toBeUndefined();
});
