// The rights that the documents ask for are those that the providers use: each call one, no others.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { createProvider } from "../../src/cloud/create-provider.ts";
import { parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { requestOf } from "../conformance/provider.ts";
import { ec2DoubleKey, startEc2Double } from "../support/ec2-double.ts";
import { startKubernetesDouble } from "../support/kubernetes-double.ts";
import { root } from "../support/programs.ts";

const call = { signal: new AbortController().signal };
const read = (path: string) => readFileSync(join(root, path), "utf8");

test("the IAM policy of the manual allows what the EC2 provider calls, and nothing else", async () => {
  const double = await startEc2Double();
  process.env["AWS_ENDPOINT_URL_EC2"] = double.url;
  process.env["AWS_ACCESS_KEY_ID"] = ec2DoubleKey;
  process.env["AWS_SECRET_ACCESS_KEY"] = "secret";
  const config = parseCloudConfig({
    ...{ provider: "aws", region: "us-east-1" },
    ...{ instanceTypes: ["c5.large"], imageId: "builder-worker" },
  });
  const provider = await createProvider(config, { meshId: "m1", self: "me", now: Date.now });
  const { id } = await provider.launch(requestOf("rights"), call);
  await provider.terminate([id], call);
  await provider.close();
  await double.close();
  const used = new Set(double.requests.map(({ action }) => `ec2:${action}`));
  const [policy = ""] = /\{\n {2}"Version"[\s\S]*?\n\}/.exec(read("docs/features/cloud.md")) ?? [];
  const statements: { Action: string[] }[] = JSON.parse(policy).Statement;
  const allowed = statements.flatMap(({ Action }) => Action);
  // A fleet starts and tags machines in the name of who asked for it.
  const byFleet = ["ec2:RunInstances", "ec2:CreateTags"];
  expect(allowed.sort()).toEqual([...used, ...byFleet].sort());
});

test("the Role in deploy allows what the Kubernetes provider calls, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "builder-rights-"));
  const double = await startKubernetesDouble();
  process.env["KUBECONFIG"] = double.config(folder);
  const podTemplate = read("deploy/kubernetes/worker-pod.yaml");
  const config = parseCloudConfig({ provider: "k8s", namespace: "builder", podTemplate });
  const provider = await createProvider(config, { meshId: "m1", self: "me", now: Date.now });
  await provider.launch(requestOf("rights"), call);
  const { id } = await provider.launch(requestOf("rights"), call);
  await provider.list(call);
  await provider.terminate([id], call);
  await provider.close();
  await double.close();
  rmSync(folder, { recursive: true });
  const objects = parseAllDocuments(read("deploy/kubernetes/rights.yaml")).map((one) => one.toJS());
  const role = objects.find(({ kind }) => kind === "Role");
  const rules: { resources: string[]; verbs: string[] }[] = role.rules;
  const allowed = rules.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
  );
  expect(allowed.sort()).toEqual([...double.rights].sort());
});
