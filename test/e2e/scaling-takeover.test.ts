// Two hosts that may both scale, and the coordinator is killed in a burst: the other one takes over
// the machines that it started. EC2 is a double; hosts and machines are real processes.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ec2Double, ec2DoubleKey, startEc2Double } from "../support/ec2-double.ts";
import { eventually } from "../support/eventually.ts";
import { createMachineRoom, type MachineRoom } from "../support/machine-room.ts";
import {
  createPlace,
  type Place,
  run,
  type SpawnedNode,
  startServing,
} from "../support/programs.ts";

const patienceMs = 200_000;
let place: Place;
let room: MachineRoom;
let ec2: Ec2Double;
const hosts: SpawnedNode[] = [];

beforeAll(async () => {
  const bare = createPlace();
  room = createMachineRoom(bare, { AWS_EC2_METADATA_DISABLED: "true" });
  ec2 = await startEc2Double({ boot: room.boot });
  const credentials = { AWS_ACCESS_KEY_ID: ec2DoubleKey, AWS_SECRET_ACCESS_KEY: "secret" };
  const aws = { AWS_ENDPOINT_URL_EC2: ec2.url, AWS_EC2_METADATA_DISABLED: "true" };
  place = { ...bare, env: { ...bare.env, ...credentials, ...aws } };
});
afterAll(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await ec2.close();
  place.remove();
});

const builder = (...args: string[]) => run(place, place.folder, "builder", args);
const living = () =>
  ec2.instances.filter(({ state }) => state === "pending" || state === "running");

async function status(host: SpawnedNode) {
  const { stdout } = await builder("remote", "status", "--json", "--coordinator", host.address);
  return JSON.parse(stdout);
}

/** A host of its own store that may start machines: three workers in all at most. */
async function startHost(name: string, words: readonly string[], own: number) {
  const store = ["--store", join(place.folder, name)];
  const settings = ["--provider", "aws", "--region", "us-east-1", "--instance-type", "c5.large"];
  const waits = ["--target-wait", "200ms", "--idle-time", "2s"];
  const image = ["--image-id", "ami-0123456789abcdef0"];
  const configured = await builder(
    "remote",
    "configure",
    ...store,
    ...settings,
    ...image,
    ...waits,
  );
  expect(configured).toMatchObject({ code: 0, stderr: "" });
  const host = await startServing(place, [
    ...words,
    ...["--name", name, "--cloud", "aws", "--workers-min", String(own), "--workers-max", "3"],
    ...["--coordinator", "127.0.0.1:0", "--mesh", "127.0.0.1:0", "--slots", "1", ...store],
  ]);
  hosts.push(host);
  return host;
}

test("a host takes the machines of a killed coordinator over, starts none twice and ends them idle", async () => {
  const desk = await startHost("desk", ["serve", "--remote"], 0);
  const deskStore = ["--store", join(place.folder, "desk")];
  const invited = await builder("mesh", "invite", "--role", "admin", ...deskStore);
  const link = /builder join '([^']+)'/.exec(invited.stdout)?.[1] ?? "";
  const other = await startHost("other", ["join", link], 1);
  const { leader } = await eventually("both know who leads", async () => {
    const [one, two] = await Promise.all([status(desk), status(other)]);
    return one.leader !== "" && one.leader === two.leader && one;
  });

  const target = (n: number) =>
    `target s${n}:\n    command: sleep 3; echo ${n} > o${n}\n    outputs: [o${n}]\n`;
  const text = Array.from({ length: 60 }, (_, n) => target(n)).join("\n");
  const folder = place.workspace({ Builderfile: text });
  const built = run(place, folder, "bldr", ["build", "-j", "60", `--remote=${other.address}`]);
  const ready = async (host: SpawnedNode) => (await status(host)).scaling.ready === 3;
  await eventually("two machines are workers", () => ready(desk), patienceMs);
  expect(living()).toHaveLength(2);

  desk.process.kill("SIGKILL");
  await eventually(
    "the other leads, with both machines",
    async () => (await status(other)).leader !== leader && (await ready(other)),
    patienceMs,
  );
  const { code, stderr } = await built;
  expect(code, stderr + other.said() + room.said()).toBe(0);
  await eventually("the idle machines are ended", () => living().length === 0, patienceMs);
  expect(ec2.instances).toHaveLength(2);
  const record = await builder("remote", "decisions", ...other.asOwner);
  const drained = [...record.stdout.matchAll(/drain (\d+)/g)].map(([, count]) => Number(count));
  expect(drained.reduce((sum, count) => sum + count, 0)).toBe(2);
  expect(record.stdout).not.toMatch(/start \d/);
}, 900_000);
