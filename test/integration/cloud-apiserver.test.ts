// The Kubernetes provider against a real API server, with exactly the rights of deploy. Where the
// programs come from: docs/features/cloud.md.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProvider } from "../../src/cloud/create-provider.ts";
import { parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { failureOf } from "../../src/core/error.ts";
import { describeProvider, requestOf } from "../conformance/provider.ts";
import { type Apiserver, apiserverPrograms, startApiserver } from "../support/apiserver.ts";
import { eventually } from "../support/eventually.ts";
import { root } from "../support/programs.ts";

const call = { signal: new AbortController().signal };
const { apiserver, etcd } = apiserverPrograms;
const areThere = apiserver !== undefined && etcd !== undefined;

describe.skipIf(!areThere)(
  "an API server, named by BUILDER_KUBE_APISERVER and BUILDER_ETCD",
  () => {
    let cluster: Apiserver;
    let meshes = 0;
    beforeAll(async () => {
      cluster = await startApiserver();
      process.env["KUBECONFIG"] = cluster.config;
    }, 300_000);
    afterAll(() => cluster?.close());

    function create(meshId: string, more: object = {}, self = "me") {
      const podTemplate = readFileSync(join(root, "deploy/kubernetes/worker-pod.yaml"), "utf8");
      const settings = { provider: "k8s", namespace: "builder", podTemplate, ...more };
      return createProvider(parseCloudConfig(settings), { meshId, self, now: Date.now });
    }

    describeProvider("Kubernetes (API server)", () => {
      meshes += 1;
      return create(`m${meshes}`);
    });

    test("takes pod, Secret, Lease and Event as they are made", async () => {
      const provider = await create("whole");
      await provider.launch(requestOf("Whole-1"), call);
      const get = (what: string) =>
        JSON.parse(cluster.kubectl("-n", "builder", "get", what, "-o", "json"));
      const pods: { metadata: { name: string; uid: string; labels: object } }[] = get("pods").items;
      const pod = pods.find(({ metadata }) => metadata.name.startsWith("builder-whole-1-"));
      expect(pod?.metadata.labels).toMatchObject({ "builder-token": "Whole-1" });
      const [secret] = get("secrets").items.filter(
        ({ metadata }: { metadata: { name: string } }) => metadata.name === pod?.metadata.name,
      );
      expect(secret.metadata.ownerReferences[0].uid).toBe(pod?.metadata.uid);
      const text = Buffer.from(secret.data.BUILDER_INVITATION, "base64").toString();
      expect(text).toBe("builder://join/test");
      const leases: { metadata: { name: string } }[] = get("leases").items;
      expect(leases.map(({ metadata }) => metadata.name)).toContain("builder-whole");
      const events: { reason: string; involvedObject: { name: string } }[] = get("events").items;
      const event = events.find(({ involvedObject }) => involvedObject.name === pod?.metadata.name);
      expect(event?.reason).toBe("WorkerStarted");
    });

    test("lets one of two coordinators scale", async () => {
      const first = await create("lease", {}, "first");
      await first.launch(requestOf("a"), call);
      const second = await create("lease", {}, "second");
      const refused = await second.launch(requestOf("b"), call).catch(failureOf);
      expect("code" in refused && refused.code).toBe("ABORTED");
      await first.close();
      expect((await second.launch(requestOf("b"), call)).token).toBe("b");
    });

    test("names its quota, the namespace that is not there, and the right that is missing", async () => {
      const code = async (work: Promise<unknown>) => work.then(() => undefined, failureOf);
      cluster.limitPods("few");
      const provider = await create("full");
      let tries = 0;
      const full = await eventually("the quota holds", async () => {
        tries += 1;
        return code(provider.launch(requestOf(`full-${tries}`), call));
      });
      cluster.kubectl("-n", "builder", "delete", "quota", "few");
      expect(full).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
      expect(full.message).toContain("quota few");
      const elsewhere = await code((await create("else", { namespace: "elsewhere" })).list(call));
      expect(elsewhere).toMatchObject({ code: "PERMISSION_DENIED" });
      expect(elsewhere?.message).toContain("list pods in namespace elsewhere");
    });
  },
);
