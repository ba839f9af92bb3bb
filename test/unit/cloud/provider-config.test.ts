import { describe, expect, test } from "vitest";
import { createProvider } from "../../../src/cloud/create-provider.ts";
import { cloudSettings, parseCloudConfig } from "../../../src/cloud/provider-config.ts";
import { failureOf } from "../../../src/core/error.ts";

const aws = {
  provider: "aws",
  region: "us-east-1",
  instanceTypes: ["c5.2xlarge"],
  imageId: "ami-builder-worker-v1",
};
const pod = `apiVersion: v1
kind: Pod
spec:
  containers:
    - name: builder
      image: registry.example/builder:1
`;
const k8s = { provider: "k8s", namespace: "builder", podTemplate: pod };

function complaint(settings: unknown): string {
  try {
    parseCloudConfig(settings);
  } catch (error) {
    const { code, message } = failureOf(error);
    expect(code).toBe("INVALID_ARGUMENT");
    return message;
  }
  throw new Error("it was taken");
}

describe("the configuration of a cloud", () => {
  test("may be as little as the example of the manual says", () => {
    expect(parseCloudConfig(aws)).toEqual({
      ...aws,
      ...{ subnets: [], securityGroups: [], spotMaxPrice: undefined, setup: "" },
    });
    expect(parseCloudConfig(k8s)).toEqual(k8s);
  });

  test("is the same after it was stored", () => {
    for (const settings of [{ ...aws, spotMaxPrice: 0.1, subnets: ["subnet-0a1b2c3d"] }, k8s]) {
      const config = parseCloudConfig(settings);
      expect(parseCloudConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    }
  });

  test.each([
    [{ ...aws, provider: "gcp" }, "--provider"],
    [{ ...aws, region: "mars" }, "--region"],
    [{ ...aws, region: undefined }, "--region"],
    [{ ...aws, instanceTypes: [] }, "--instance-type"],
    [{ ...aws, instanceTypes: ["c5"] }, "--instance-type"],
    [{ ...aws, instanceTypes: "c5.large" }, "--instance-type"],
    [{ ...aws, instanceTypes: Array.from({ length: 21 }, () => "c5.large") }, "--instance-type"],
    [{ ...aws, imageId: "a;b" }, "--image-id"],
    [{ ...aws, subnets: ["vpc-1"] }, "--subnet"],
    [{ ...aws, securityGroups: [7] }, "--security-group"],
    [{ ...aws, spotMaxPrice: 0 }, "--spot-max-price"],
    [{ ...aws, spotMaxPrice: Number.NaN }, "--spot-max-price"],
    [{ ...aws, spotMaxPrice: "0.1" }, "--spot-max-price"],
    [{ ...aws, setup: "x".repeat(9000) }, "--setup"],
    [{ ...aws, namespace: "builder" }, "--namespace"],
    [{ ...aws, color: "red" }, "color"],
    [{ ...k8s, namespace: "Not A Name" }, "--namespace"],
    [{ ...k8s, podTemplate: " " }, "--pod-template"],
    [{ ...k8s, podTemplate: "#".repeat(70_000) }, "--pod-template"],
    [{ ...k8s, region: "us-east-1" }, "--region"],
    [null, "settings"],
    [[], "settings"],
    ["aws", "settings"],
  ])("names the flag of what is wrong: %j", (settings, flag) => {
    expect(complaint(settings)).toContain(flag);
  });

  test("names each setting once, and each has a meaning", () => {
    expect(new Set(cloudSettings.map(({ key }) => key)).size).toBe(cloudSettings.length);
    for (const { flag, meaning } of cloudSettings) expect(flag + meaning).toMatch(/^--\S+[a-zA-Z]/);
  });

  test.each([
    ["kind: Deployment\napiVersion: apps/v1", "no Pod"],
    [pod.replace("image:", "imge:"), "spec.containers[0]"],
    [pod.replace("  containers", "  nodeSelectr: {a: b}\n  containers"), "spec.nodeSelectr"],
    [pod.replace("spec:", "spec:\n  restartPolicy: Always"), "restartPolicy"],
    [pod.replace(/containers:[\s\S]*/, "containers: []"), "spec.containers"],
    ["{", "cannot be read"],
    ["a: &a [1]\nb: [*x]", "cannot be read"],
    ["- 1", "no Pod"],
  ])("says what is wrong with a template without asking a cluster: %j", async (text, what) => {
    const config = parseCloudConfig({ ...k8s, podTemplate: text });
    const deps = { meshId: "m1", self: "me", now: Date.now };
    const refused = await createProvider(config, deps).catch(failureOf);
    expect("code" in refused && refused.code).toBe("INVALID_ARGUMENT");
    expect("message" in refused && refused.message).toContain(what);
    expect("message" in refused && refused.message).toContain("--pod-template");
  });
});
