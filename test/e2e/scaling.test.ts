import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

let place: Place;
let node: SpawnedNode | undefined;

beforeEach(() => {
  place = createPlace();
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  place.remove();
});

/** Slow machines may take long; nothing here is about speed. */
const patienceMs = 180_000;

async function start(...flags: string[]): Promise<SpawnedNode> {
  node = await startNode(place, ["--sandbox", "none", ...flags]);
  return node;
}

function remote(...words: string[]) {
  return run(place, place.folder, "builder", ["remote", ...words, ...(node?.asOwner ?? [])]);
}

async function status() {
  return JSON.parse((await remote("status", "--json")).stdout);
}

/** Actions that sleep, of one kind each, in a workspace of their own. */
function sleepers(count: number, seconds: number): string {
  const target = (n: number) =>
    `target s${n}:\n    command: sleep ${seconds}; echo ${n} > o${n}\n    outputs: [o${n}]\n`;
  return place.workspace({
    Builderfile: Array.from({ length: count }, (_, n) => target(n)).join("\n"),
  });
}

function build(folder: string, jobs: number) {
  const args = ["build", "-j", `${jobs}`, `--remote=${node?.address}`];
  return run(place, folder, "bldr", args);
}

const whenScaled = (what: string, holds: (found: Awaited<ReturnType<typeof status>>) => boolean) =>
  eventually(what, async () => holds(await status()), patienceMs);

test("a burst grows the pool from nothing to the maximum, and it shrinks again when idle", async () => {
  const store = join(place.folder, "node-store");
  const wishes = ["--target-wait", "500ms", "--idle-time", "2s", "--store", store];
  const configured = await run(place, "/", "builder", ["remote", "configure", ...wishes]);
  expect(configured.stderr).toBe("");
  await start("--workers-min", "0", "--workers-max", "2", "--autoscale");
  expect(node?.said()).toContain("Worker pool: 0 workers (autoscale enabled)");
  const built = build(sleepers(12, 3), 12);
  await whenScaled("two workers", ({ workers }) => workers.length === 2);
  expect((await built).code).toBe(0);
  const shown = (await remote("status")).stdout;
  expect(shown).toMatch(
    /\nAutoscaling:\n {2}Mode: on \(worker processes\), \d ready.* of 0\.\.2\n/,
  );
  expect(shown).toMatch(/\n {2}Predicted load: \d+% /);
  expect(shown).toMatch(/\n {2}Next action: /);
  // At most a tenth and one go in a minute.
  await whenScaled("no workers", ({ workers }) => workers.length === 0);
  const decisions = (await remote("decisions")).stdout;
  expect(decisions).toMatch(/start \d.*: .*queued actions/);
  expect(decisions).toMatch(/drain \d/);
  const lines = (await remote("record")).stdout.trimEnd().split("\n");
  const records = lines.map((line) => JSON.parse(line));
  expect(records[0]).toMatchObject({ record: "head", version: 1 });
  const actions = records.filter(({ record }) => record === "action");
  expect(actions).toHaveLength(12);
  for (const { runMs, lost } of actions)
    expect({ lost, isRun: runMs >= 2_900 }).toEqual({ lost: 0, isRun: true });
}, 400_000);

test("advice starts nothing, and says what it would do", async () => {
  await start("--workers-min", "1", "--workers-max", "4", "--autoscale=advise", "--slots", "1");
  expect(node?.said()).toContain("Worker pool: 1 worker (autoscale advises)");
  await remote("configure", "--target-wait", "100ms");
  const built = build(sleepers(8, 2), 8);
  await whenScaled("advice", ({ scaling }) => scaling.decision?.heldBackBy === "advise");
  expect((await built).code).toBe(0);
  expect((await status()).workers).toHaveLength(1);
  expect((await remote("status")).stdout).toMatch(/Held back by: advise starts and ends nothing/);
  expect((await remote("decisions")).stdout).toMatch(/ would start /);
}, 400_000);

test("a floor by hand lasts until it is released, also over a restart", async () => {
  await start("--workers-min", "1", "--slots", "1");
  expect(node?.said()).toContain("Worker pool: 1 worker (autoscale off)");
  expect((await remote("scale", "--workers", "3")).stdout).toMatch(/At least 3 workers/);
  await whenScaled("three workers", ({ workers }) => workers.length === 3);
  await node?.stop();
  await start("--workers-min", "1", "--slots", "1");
  await whenScaled("three workers again", ({ workers }) => workers.length === 3);
  expect((await remote("scale", "--release")).code).toBe(0);
  await whenScaled("one worker", ({ workers }) => workers.length === 1);
  const neither = await remote("scale");
  expect([neither.code, neither.stderr]).toEqual([
    2,
    expect.stringMatching(/--workers N, or --release/),
  ]);
}, 400_000);

test("a worker is drained and taken back, and a name that nobody has is refused", async () => {
  await start("--workers-min", "2", "--workers-max", "3", "--slots", "1");
  await whenScaled("two workers", ({ workers }) => workers.length === 2);
  const drains = async () =>
    (await status()).workers.filter((worker: { draining: boolean }) => worker.draining);
  expect((await remote("drain", "worker-1")).code).toBe(0);
  await eventually("it drains", async () => (await drains()).length === 1, patienceMs);
  // Everything still runs, on the other one.
  const built = await build(sleepers(2, 0), 2);
  expect(built.stdout).not.toContain("worker-1 ");
  expect(built.code).toBe(0);
  expect((await remote("drain", "worker-1", "--cancel")).code).toBe(0);
  await eventually("it goes on", async () => (await drains()).length === 0, patienceMs);
  const wrong = await remote("drain", "worker-77");
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringMatching(/Nobody here is called "worker-77"/),
  ]);
}, 400_000);

test("what is configured is checked, kept and shown, and the node of a store need not run", async () => {
  const store = join(place.folder, "node-store");
  const configure = (...flags: string[]) =>
    run(place, place.folder, "builder", ["remote", "configure", "--store", store, ...flags]);
  const template = join(place.folder, "pod.yaml");
  writeFileSync(template, "spec:\n  containers:\n    - name: builder\n      image: builder\n");
  const k8s = ["--provider", "k8s", "--namespace", "builder", "--pod-template", template];
  expect((await configure(...k8s)).stdout).toMatch(/Configured/);
  const aws = ["--provider", "aws", "--region", "us-east-1", "--instance-type", "c5.2xlarge"];
  expect((await configure(...aws, "--image-id", "ami-builder-worker-v1")).stderr).toBe("");
  const spot = ["--spot", "--spot-max-price", "0.10", "--on-demand-base", "2"];
  expect((await configure(...spot, "--schedule", "mon-fri 08:00-18:00 min=4")).code).toBe(0);
  const printed = JSON.parse((await configure("--print")).stdout);
  expect(printed).toEqual({
    ...{ spot: true, onDemandBase: 2, schedules: ["mon-fri 08:00-18:00 min=4"] },
    provider: {
      ...{ provider: "aws", region: "us-east-1", instanceTypes: ["c5.2xlarge"] },
      ...{ imageId: "ami-builder-worker-v1", spotMaxPrice: 0.1 },
    },
  });
  for (const [flags, message] of [
    [["--workers-min", "5", "--workers-max", "4"], /--workers-max 4 is below --workers-min 5/],
    [["--schedule", "whenever"], /schedule "whenever" is not understood/],
    [["--spot-max-price", "much"], /--spot-max-price wants a number/],
    [["--provider", "k8s"], /--namespace is missing|--pod-template is missing/],
    [["--namespace", "builder"], /--namespace is for --provider k8s, not aws/],
    [["--pod-template", "/nowhere"], /file of --pod-template cannot be read/],
  ] as const) {
    const refused = await configure(...flags);
    expect([refused.code, refused.stderr], flags.join(" ")).toEqual([
      2,
      expect.stringMatching(message),
    ]);
  }
  const serve = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--store", store];
  const unconfigured = await run(place, "/", "builder", [...serve, "--cloud", "k8s"]);
  expect([unconfigured.code, unconfigured.stderr]).toEqual([
    3,
    expect.stringMatching(/remote configure --provider k8s/),
  ]);
  expect((await configure("--reset")).code).toBe(0);
  expect((await configure("--print")).stdout).toBe("{}\n");
}, 400_000);
