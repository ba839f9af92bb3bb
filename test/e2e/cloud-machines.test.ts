// What a cloud's machines do, run for real: the script and the container that providers give them,
// in processes of this machine, with a real mesh to join.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createProvider } from "../../src/cloud/create-provider.ts";
import type { LaunchRequest, Provider } from "../../src/cloud/provider.ts";
import { parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { type Ec2Double, ec2DoubleKey, startEc2Double } from "../support/ec2-double.ts";
import { eventually } from "../support/eventually.ts";
import { type ImdsDouble, startImdsDouble } from "../support/imds-double.ts";
import { type KubernetesDouble, startKubernetesDouble } from "../support/kubernetes-double.ts";
import { createMachineRoom, type MachineRoom } from "../support/machine-room.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

const call = { signal: new AbortController().signal };
const deps = { meshId: "m1", self: "desk", now: Date.now };
const minuteMs = 60_000;
let place: Place;
let desk: SpawnedNode;
let metadata: ImdsDouble;
let room: MachineRoom;
let ec2: Ec2Double;
let cluster: KubernetesDouble;

beforeAll(async () => {
  place = createPlace();
  metadata = await startImdsDouble();
  room = createMachineRoom(place, { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url });
  ec2 = await startEc2Double({ boot: room.boot });
  cluster = await startKubernetesDouble({ boot: room.start });
  const folder = join(place.folder, "kubeconfig");
  mkdirSync(folder);
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_EC2: ec2.url,
    AWS_ACCESS_KEY_ID: ec2DoubleKey,
    AWS_SECRET_ACCESS_KEY: "secret",
    KUBECONFIG: cluster.config(folder),
  });
  desk = await startNode(place, ["--work-stealing", "--name", "desk", "--workers-min", "1"]);
});
afterAll(async () => {
  await ec2.close();
  await cluster.close();
  await metadata.close();
  await desk.stop();
  place.remove();
});

const store = () => join(place.folder, "node-store");

async function workers(): Promise<{ name: string; draining: boolean }[]> {
  const { stdout } = await run(place, place.folder, "builder", [
    ...["remote", "status", "--json", "--coordinator", desk.address],
  ]);
  return JSON.parse(stdout).workers;
}

async function request(name: string, more: object = {}): Promise<LaunchRequest> {
  const { stdout } = await run(place, place.folder, "builder", [
    "mesh",
    "invite",
    "--store",
    store(),
  ]);
  const invitation = /builder:\/\/\S+?(?=['\s])/.exec(stdout)?.[0] ?? "";
  const times = { joinWithinMs: 5 * minuteMs, aloneMsMax: 10 * minuteMs };
  return { token: name, market: "spot", boot: { invitation, name, ...times, ...more } };
}

function ec2Provider(): Promise<Provider> {
  const settings = { provider: "aws", region: "us-east-1", instanceTypes: ["c5.large"] };
  return createProvider(parseCloudConfig({ ...settings, imageId: "ami-0123456789abcdef0" }), deps);
}

function podProvider(): Promise<Provider> {
  const podTemplate = `
apiVersion: v1
kind: Pod
spec:
  terminationGracePeriodSeconds: 120
  containers: [{ name: builder, image: builder, args: [--slots, "1"] }]
`;
  const settings = { provider: "k8s", namespace: "builder", podTemplate };
  return createProvider(parseCloudConfig(settings), deps);
}

const isThere = (name: string) => async () =>
  (await workers()).some((worker) => worker.name.startsWith(`${name}/`));

test("an EC2 machine joins, gives way when EC2 takes it back, and is gone when ended", async () => {
  const provider = await ec2Provider();
  const { id } = await provider.launch(await request("spot-1"), call);
  await eventually("its worker is in the mesh", isThere("spot-1"), 3 * minuteMs);
  const time = new Date(Date.now() + 2 * minuteMs).toISOString();
  metadata.announce(JSON.stringify({ action: "terminate", time }));
  await eventually(
    "it drains",
    async () =>
      (await workers()).some(({ name, draining }) => draining && name.startsWith("spot-1/")),
    minuteMs,
  );
  metadata.announce(undefined);
  expect(room.said()).toMatch(/EC2 takes this machine back in 1\d\d s \(terminate\)/);
  await provider.terminate([id], call);
  await eventually("its worker is gone", async () => !(await isThere("spot-1")()), minuteMs);
  expect(ec2.instances[0]?.process?.exitCode ?? ec2.instances[0]?.process?.signalCode).not.toBe(
    null,
  );
});

test("a machine whose invitation is of no use ends itself", async () => {
  const provider = await ec2Provider();
  const invitation = "builder://join/nothing";
  const { id } = await provider.launch(await request("lost-1", { invitation }), call);
  await eventually(
    "it powered itself off",
    async () => (await provider.list(call)).find((one) => one.id === id)?.state === "ended",
    2 * minuteMs,
  );
});

test("a pod joins by its Secret, and deleting it drains it", async () => {
  const provider = await podProvider();
  const { id } = await provider.launch(await request("pod-1"), call);
  await eventually("its worker is in the mesh", isThere("pod-1"), 3 * minuteMs);
  await provider.terminate([id], call);
  await eventually("it ended by itself", () => cluster.objects("pods").length === 0, 2 * minuteMs);
  expect(room.said()).toContain("Draining");
  await eventually("its worker is gone", async () => !(await isThere("pod-1")()), minuteMs);
});
