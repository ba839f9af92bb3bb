// The cloud as the manual describes it: configured by commands, machines started for a build by the
// coordinator, taken away and replaced, ended when idle. EC2 is a double; its machines are real.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ec2Double, ec2DoubleKey, startEc2Double } from "../support/ec2-double.ts";
import { eventually } from "../support/eventually.ts";
import { createMachineRoom, type MachineRoom } from "../support/machine-room.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

const minuteMs = 60_000;
let place: Place;
let room: MachineRoom;
let ec2: Ec2Double;
let node: SpawnedNode | undefined;

beforeAll(async () => {
  const bare = createPlace();
  room = createMachineRoom(bare, { AWS_EC2_METADATA_DISABLED: "true" });
  ec2 = await startEc2Double({ boot: room.boot, hiddenLooks: 1 });
  const env = {
    AWS_ENDPOINT_URL_EC2: ec2.url,
    AWS_ACCESS_KEY_ID: ec2DoubleKey,
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  place = { ...bare, env: { ...bare.env, ...env } };
});
afterAll(async () => {
  await node?.stop();
  await ec2.close();
  place.remove();
});

const store = () => join(place.folder, "node-store");
const builder = (...args: string[]) => run(place, place.folder, "builder", args);
const living = () =>
  ec2.instances.filter(({ state }) => state === "pending" || state === "running");

function workspace(text: string): string {
  return place.workspace({
    Builderfile: `target said:
  inputs: [word.txt]
  command: cat word.txt > said.txt
  outputs: [said.txt]
`,
    "word.txt": text,
  });
}

test("configure says what is wrong and keeps what is right, and asks no cloud", async () => {
  const spoken = ["--region", "us-east-1", "--instance-type", "c5.large"];
  const configure = ["remote", "configure", "--store", store(), "--provider", "aws"];
  const wrong = await builder(...configure, ...spoken, "--image-id", "ami;rm");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain("--image-id");
  const image = ["--image-id", "ami-0123456789abcdef0"];
  const spot = ["--spot", "--spot-max-price", "0.10", "--on-demand-base", "0"];
  const right = await builder(...configure, ...spoken, ...image, ...spot, "--idle-time", "3s");
  expect(right.stderr).toBe("");
  expect(right.code).toBe(0);
  expect(ec2.requests).toEqual([]);
});

test("a dry run prints the calls, and makes none", async () => {
  const fleet = ["--cloud", "aws", "--autoscale", "--workers-min", "0", "--workers-max", "2"];
  node = await startNode(place, [...fleet, "--work-stealing", "--name", "desk"]);
  expect(node.said()).toContain("Worker pool: 0 workers (autoscale enabled");
  const planned = await builder("remote", "scale", "--dry-run", ...node.asOwner);
  expect(planned.stdout).toContain("ec2:CreateFleet");
  expect(planned.stdout).toContain('"MaxPrice": "0.1"');
  expect(planned.stdout).not.toMatch(/builder:\/\/join\/\w/);
  expect(ec2.instances).toEqual([]);
});

/** Builds what was never built before. */
function build(text: string) {
  const args = ["build", "said", `--remote=${node?.address}`];
  return run(place, workspace(text), "bldr", args);
}

test("a build starts a machine, which goes when it is idle", async () => {
  const built = await build("one");
  expect(built.code, built.stderr + node?.said() + room.said()).toBe(0);
  // A machine that is slow to boot may be helped by another one.
  expect(ec2.instances.length).toBeGreaterThan(0);
  expect(ec2.instances[0]).toMatchObject({ spot: true, type: "c5.large" });
  await eventually("the idle machine goes", () => living().length === 0, 5 * minuteMs);
});

test("the next build starts another, which is taken away without a word: that costs time", async () => {
  const before = ec2.instances.length;
  const building = build("two");
  await eventually("a machine is started", () => living().length === 1, 2 * minuteMs);
  ec2.kill(living()[0]?.id ?? "");
  const built = await building;
  expect(built.code, built.stderr + node?.said() + room.said()).toBe(0);
  expect(ec2.instances.length).toBeGreaterThan(before + 1);
});
