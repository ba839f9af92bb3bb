// The Kubernetes provider with the official client against the double, and, where its program is
// there, against a real API server.

import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createProvider } from "../../src/cloud/create-provider.ts";
import { parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { failureOf } from "../../src/core/error.ts";
import { describeProvider, requestOf } from "../conformance/provider.ts";
import { eventually } from "../support/eventually.ts";
import {
  type KubernetesDouble,
  type KubernetesDoubleOptions,
  startKubernetesDouble,
} from "../support/kubernetes-double.ts";

const call = { signal: new AbortController().signal };
const podTemplate = `
apiVersion: v1
kind: Pod
metadata:
  labels: { team: compilers }
spec:
  containers:
    - name: sidecar
      image: registry.example/log:1
    - name: builder
      image: registry.example/builder:1
      args: [--slots, "4"]
      env: [{ name: TZ, value: UTC }]
      resources: { requests: { cpu: "4", memory: 8Gi } }
`;
const settings = { provider: "k8s", namespace: "builder", podTemplate };
const folder = mkdtempSync(join(tmpdir(), "builder-kubernetes-"));
let double: KubernetesDouble | undefined;

afterAll(async () => {
  await double?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function provide(options: KubernetesDoubleOptions = {}, more: object = {}) {
  await double?.close();
  double = await startKubernetesDouble(options);
  process.env["KUBECONFIG"] = double.config(folder);
  return { provider: await create(more), cluster: double };
}

function create(more: object = {}, deps: { self?: string; now?: () => number } = {}) {
  const config = parseCloudConfig({ ...settings, ...more });
  return createProvider(config, { meshId: "m1", self: "me", now: Date.now, ...deps });
}

async function refusal(work: Promise<unknown>) {
  const failure = await work.then(() => undefined, failureOf);
  return failure ?? { code: "none", message: "it worked" };
}

describeProvider("Kubernetes (double)", async () => (await provide()).provider);
describeProvider("Kubernetes (double with small pages)", async () => {
  return (await provide({ pageMax: 1 })).provider;
});

describe("Kubernetes", () => {
  test("gets the pod of the template, with labels, words to join, and its invitation by a Secret", async () => {
    const { provider, cluster } = await provide();
    const machine = await provider.launch(requestOf("pod-1", { market: "spot" }), call);
    expect(machine).toMatchObject({ id: "builder-pod-1", token: "pod-1", market: "spot" });
    const [pod] = cluster.objects("pods");
    expect(pod?.metadata.labels).toEqual({
      team: "compilers",
      "app.kubernetes.io/managed-by": "builder",
      "builder-mesh": "m1",
      "builder-token": "pod-1",
      "builder-market": "spot",
    });
    const [sidecar, worker] = pod?.["spec"].containers ?? [];
    expect(sidecar).toEqual({ name: "sidecar", image: "registry.example/log:1" });
    expect(worker.command).toEqual(["builder"]);
    expect(worker.args.slice(0, 4)).toEqual(["join", "$(BUILDER_INVITATION)", "--name", "pod-1"]);
    expect(worker.args.slice(-2)).toEqual(["--slots", "4"]);
    expect(worker.resources).toEqual({ requests: { cpu: "4", memory: "8Gi" } });
    expect(JSON.stringify(pod)).not.toContain("builder://");
    expect(pod?.["spec"]).toMatchObject({
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 300,
    });
    const [secret] = cluster.objects("secrets");
    expect(secret?.["stringData"]).toEqual({ BUILDER_INVITATION: "builder://join/test" });
    expect(secret?.metadata.ownerReferences?.[0]).toMatchObject({ uid: pod?.metadata.uid });
    const [event] = cluster.objects("events");
    expect(event).toMatchObject({
      reason: "WorkerStarted",
      involvedObject: { name: "builder-pod-1" },
    });
    await provider.terminate([machine.id], call);
    expect(cluster.objects("secrets")).toEqual([]);
  });

  test("tells tokens apart that differ in capitals only", async () => {
    const { provider, cluster } = await provide();
    await provider.launch(requestOf("Abc"), call);
    await provider.launch(requestOf("abc"), call);
    expect(cluster.objects("pods").length).toBe(2);
    expect((await provider.list(call)).map(({ token }) => token).sort()).toEqual(["Abc", "abc"]);
  });

  test("does not start twice what it started when the answer was lost", async () => {
    const { provider, cluster } = await provide();
    cluster.fault("POST pods", { kind: "lost" });
    cluster.fault("POST secrets", { kind: "lost" });
    await provider.launch(requestOf("lost"), call);
    expect(cluster.objects("pods").length).toBe(1);
    expect(cluster.objects("secrets").length).toBe(1);
  });

  test("leaves no pod behind that cannot be let in", async () => {
    const { provider, cluster } = await provide();
    const message =
      'secrets is forbidden: User "u" cannot create resource "secrets" in API group ""';
    cluster.fault("POST secrets", { kind: "status", status: 403, message });
    const refused = await refusal(provider.launch(requestOf("locked"), call));
    expect(refused).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(refused.message).toContain("create secrets");
    expect(cluster.objects("pods")).toEqual([]);
  });

  test("finishes what another process began: the pod is there, its Secret is not", async () => {
    const { provider, cluster } = await provide();
    const crash = new AbortController();
    cluster.fault("POST secrets", { kind: "hang" });
    const cut = refusal(provider.launch(requestOf("cut"), { signal: crash.signal }));
    await eventually("it was asked", () => cluster.requests.includes("POST secrets"));
    cluster.fault("DELETE pods", { kind: "hang" });
    crash.abort();
    expect((await cut).code).toBe("CANCELLED");
    expect(cluster.objects("pods").length).toBe(1);
    await (await create()).launch(requestOf("cut"), call);
    expect(cluster.objects("pods").length).toBe(1);
    expect(cluster.objects("secrets").length).toBe(1);
    expect(cluster.objects("pods")[0]?.["status"].phase).toBe("Running");
  });

  test("that throttles is asked again when it says, and reported when it goes on", async () => {
    const { provider, cluster } = await provide();
    const slow = { kind: "status", status: 429, message: "slow", retryAfterS: 1 } as const;
    cluster.fault("POST pods", slow);
    await provider.launch(requestOf("slow"), call);
    expect(cluster.objects("pods").length).toBe(1);
    cluster.fault("GET pods", ...Array.from({ length: 4 }, () => ({ ...slow, retryAfterS: 0 })));
    expect(await refusal(provider.list(call))).toMatchObject({ code: "UNAVAILABLE" });
  });

  test("names the quota that is used up, in an event too", async () => {
    const { provider, cluster } = await provide({ podsMax: 0 });
    const refused = await refusal(provider.launch(requestOf("many"), call));
    expect(refused).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect(refused.message).toContain("builder-pods");
    const [event] = cluster.objects("events");
    expect(event).toMatchObject({ type: "Warning", reason: "WorkerNotStarted" });
    expect(event?.["message"]).toContain("builder-pods");
  });

  test.each([
    [404, 'namespaces "builder" not found', "NOT_FOUND", "--namespace"],
    [422, "Pod is invalid: spec.containers[0].image", "INVALID_ARGUMENT", "--pod-template"],
    [403, 'admission webhook "policy" denied the request', "INVALID_ARGUMENT", "--pod-template"],
    [403, 'User "u" cannot create resource "pods"', "PERMISSION_DENIED", "create pods"],
    [401, "Unauthorized", "PERMISSION_DENIED", "KUBECONFIG"],
  ])("says what to change: %i %s is %s", async (status, message, code, names) => {
    const { provider, cluster } = await provide();
    cluster.fault("POST pods", { kind: "status", status, message });
    const refused = await refusal(provider.launch(requestOf("no"), call));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(names);
  });

  test("without a namespace, without rights and nowhere at all says so", async () => {
    const { cluster } = await provide({ namespaces: ["other"] });
    expect((await refusal((await create()).list(call))).code).toBe("NOT_FOUND");
    process.env["KUBECONFIG"] = cluster.config(folder, "wrong-token");
    expect((await refusal((await create()).list(call))).code).toBe("PERMISSION_DENIED");
    process.env["KUBECONFIG"] = join(folder, "no-such-file");
    expect((await refusal(create())).code).toBe("INVALID_ARGUMENT");
  });

  test("that hangs is given up when the caller gives up", async () => {
    const { provider, cluster } = await provide();
    cluster.fault("GET pods", { kind: "hang" });
    const giveUp = new AbortController();
    const listing = refusal(provider.list({ signal: giveUp.signal }));
    await eventually("it was asked", () => cluster.requests.includes("GET pods"));
    giveUp.abort();
    expect((await listing).code).toBe("CANCELLED");
  });

  test("lists again from the start when its pages expired", async () => {
    const { provider, cluster } = await provide({ pageMax: 1 });
    for (const token of ["a", "b", "c"]) await provider.launch(requestOf(token), call);
    const before = cluster.requests.length;
    const listing = provider.list(call);
    await eventually("a page was asked for", () => cluster.requests.length > before);
    cluster.expireLists();
    expect((await listing).map(({ token }) => token).sort()).toEqual(["a", "b", "c"]);
  });

  test("says of a pod why it does not run", async () => {
    const { provider } = await provide({ schedules: false });
    await provider.launch(requestOf("full"), call);
    const [listed] = await provider.list(call);
    expect(listed).toMatchObject({ state: "starting" });
    expect(listed?.what).toContain("Insufficient cpu");
  });

  test("has workers belong to what keeps the coordinator's own pod, else to that pod", async () => {
    const { cluster } = await provide();
    process.env["KUBECONFIG"] = cluster.config(folder, undefined, "inCluster");
    const pod = { spec: { containers: [] }, metadata: { name: hostname() } };
    const own = cluster.add("pods", pod);
    await (await create()).launch(requestOf("alone"), call);
    const set = { apiVersion: "apps/v1", kind: "StatefulSet", name: "builder", uid: "set-1" };
    cluster.update("pods", hostname(), ({ metadata }) => {
      Object.assign(metadata, { ownerReferences: [{ ...set, controller: true }] });
    });
    await (await create()).launch(requestOf("kept"), call);
    const owners = (name: string) =>
      cluster.objects("pods").find(({ metadata }) => metadata.name === name)?.metadata
        .ownerReferences;
    const { name, uid } = own.metadata;
    expect(owners("builder-alone")).toEqual([{ apiVersion: "v1", kind: "Pod", name, uid }]);
    expect(owners("builder-kept")).toEqual([set]);
  });

  test("is rid of pods that ended long ago, of this mesh only", async () => {
    const { cluster } = await provide();
    let nowMs = Date.now();
    const provider = await create({}, { now: () => nowMs });
    for (const token of ["ended", "runs"]) await provider.launch(requestOf(token), call);
    cluster.update("pods", "builder-ended", (pod) => {
      pod["status"].phase = "Succeeded";
    });
    nowMs += 3_600_000;
    await provider.launch(requestOf("next"), call);
    const names = cluster.objects("pods").map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual(["builder-next", "builder-runs"]);
  });
});

describe("the Lease", () => {
  test("lets one of two coordinators scale, and the other one once the first is gone", async () => {
    const { cluster } = await provide();
    let nowMs = Date.now();
    const now = () => nowMs;
    const first = await create({}, { self: "first", now });
    const second = await create({}, { self: "second", now });
    await first.launch(requestOf("a"), call);
    const refused = await refusal(second.launch(requestOf("b"), call));
    expect(refused).toMatchObject({ code: "ABORTED" });
    expect(refused.message).toContain("first holds the Lease builder-m1");
    expect(await refusal(second.terminate(["builder-a"], call))).toMatchObject({ code: "ABORTED" });
    expect(cluster.objects("pods").length).toBe(1);
    // It renews: the other one goes on waiting.
    nowMs += 10_000;
    await first.launch(requestOf("c"), call);
    nowMs += 10_000;
    expect((await refusal(second.launch(requestOf("b"), call))).code).toBe("ABORTED");
    nowMs += 16_000;
    await second.launch(requestOf("b"), call);
    expect((await refusal(first.launch(requestOf("d"), call))).code).toBe("ABORTED");
    expect(cluster.objects("leases")[0]?.["spec"]).toMatchObject({
      holderIdentity: "second",
      leaseTransitions: 2,
    });
  });

  test("is free at once after its holder said goodbye", async () => {
    await provide();
    const first = await create({}, { self: "first" });
    await first.launch(requestOf("a"), call);
    await first.close();
    const second = await create({}, { self: "second" });
    expect((await second.launch(requestOf("b"), call)).token).toBe("b");
  });

  test("goes to one of two that take it at once", async () => {
    const { cluster } = await provide();
    const both = await Promise.all(
      ["first", "second"].map(async (self) => {
        const provider = await create({}, { self });
        return (await refusal(provider.launch(requestOf(self), call))).code;
      }),
    );
    expect(both.sort()).toEqual(["ABORTED", "none"]);
    expect(cluster.objects("pods").length).toBe(1);
  });
});
