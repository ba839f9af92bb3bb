// The manual's commands for Kubernetes, with the template of deploy: the cluster is a double, its
// pods are real.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type KubernetesDouble, startKubernetesDouble } from "../support/kubernetes-double.ts";
import { createMachineRoom, type MachineRoom } from "../support/machine-room.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

const minuteMs = 60_000;
let place: Place;
let room: MachineRoom;
let cluster: KubernetesDouble;
let node: SpawnedNode | undefined;

beforeAll(async () => {
  const bare = createPlace();
  room = createMachineRoom(bare);
  cluster = await startKubernetesDouble({ boot: room.start });
  const folder = join(bare.folder, "kubeconfig");
  mkdirSync(folder);
  place = { ...bare, env: { ...bare.env, KUBECONFIG: cluster.config(folder) } };
});
afterAll(async () => {
  await node?.stop();
  await cluster.close();
  place.remove();
});

test("a build starts a pod, which drains and goes when it is idle", async () => {
  const template = join(root, "deploy/kubernetes/worker-pod.yaml");
  const configured = await run(place, place.folder, "builder", [
    ...["remote", "configure", "--provider", "k8s", "--namespace", "builder"],
    ...["--pod-template", template, "--idle-time", "3s"],
    ...["--store", join(place.folder, "node-store")],
  ]);
  expect(configured.stderr).toBe("");
  const fleet = ["--cloud", "k8s", "--autoscale", "--workers-min", "0", "--workers-max", "2"];
  node = await startNode(place, [...fleet, "--work-stealing", "--name", "desk"]);
  const folder = place.workspace({
    Builderfile: "target said:\n  command: echo hello > said.txt\n  outputs: [said.txt]\n",
  });
  const args = ["build", "said", `--remote=${node.address}`];
  const built = await run(place, folder, "bldr", args);
  expect(built.code, built.stderr + node.said() + room.said()).toBe(0);
  const [pod] = cluster.objects("pods");
  expect(pod?.metadata.name).toMatch(/^builder-/);
  expect(built.stdout).toContain(`Executing on ${pod?.metadata.name.replace("builder-", "")}`);
  expect(cluster.objects("leases")[0]?.["spec"].holderIdentity).toMatch(/^desk \(\w{8}\)$/);
  await eventually(
    "no pod is left running",
    () => {
      const phases = cluster.objects("pods").map((one) => one["status"].phase);
      return phases.every((phase) => phase === "Succeeded" || phase === "Failed");
    },
    5 * minuteMs,
  );
  expect(room.said()).toContain("Draining");
});
