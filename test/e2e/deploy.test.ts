// What is in deploy/ is what its readers can use: files parse, flags are flags, fields are fields.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dumpYaml, loadYaml } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { createProvider } from "../../src/cloud/create-provider.ts";
import { parseCloudConfig } from "../../src/cloud/provider-config.ts";
import { requestOf } from "../conformance/provider.ts";
import { createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const read = (path: string) => readFileSync(join(root, "deploy", path), "utf8");

/** Flags that `builder WORDS --help` knows. */
async function flagsOf(words: readonly string[]): Promise<Set<string>> {
  const { stdout, code } = await run(place, place.folder, "builder", [...words, "--help"]);
  expect(code, words.join(" ")).toBe(0);
  return new Set([...stdout.matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag));
}

async function expectFlags(words: readonly string[], args: readonly string[]): Promise<void> {
  const known = await flagsOf(words);
  const said = args.filter((word) => word.startsWith("--"));
  expect(said.length, words.join(" ")).toBeGreaterThan(0);
  for (const flag of said) expect([...known], words.join(" ")).toContain(flag);
}

interface Manifest {
  kind: string;
  apiVersion: string;
  spec?: { template?: { spec: PodSpec }; containers?: PodSpec["containers"] };
}
interface PodSpec {
  containers: { name: string; command?: string[]; args: string[] }[];
  initContainers?: PodSpec["containers"];
}

const manifests = (path: string): Manifest[] =>
  parseAllDocuments(read(path)).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });

describe("deploy", () => {
  test("has manifests with fields that Kubernetes knows", () => {
    for (const path of ["rights", "coordinator", "worker-pod"]) {
      const objects = manifests(`kubernetes/${path}.yaml`);
      expect(objects.length).toBeGreaterThan(0);
      for (const object of objects) {
        // The official client leaves out what it does not know.
        expect(parse(dumpYaml(loadYaml(JSON.stringify(object)))), object.kind).toEqual(object);
      }
    }
  });

  test("says to containers and services what the programs understand", async () => {
    const [, set] = manifests("kubernetes/coordinator.yaml");
    const pod = set?.spec?.template?.spec;
    const [serve] = pod?.containers ?? [];
    const [configure] = pod?.initContainers ?? [];
    expect([serve?.command, configure?.command]).toEqual([["builder"], ["builder"]]);
    expect(serve?.args[0]).toBe("serve");
    await expectFlags(["serve"], serve?.args ?? []);
    expect(configure?.args.slice(0, 2)).toEqual(["remote", "configure"]);
    await expectFlags(["remote", "configure"], configure?.args ?? []);
    const [worker] = manifests("kubernetes/worker-pod.yaml");
    await expectFlags(["join"], worker?.spec?.containers?.[0]?.args ?? []);
    const [, line = ""] = /^ExecStart=(.*)$/m.exec(read("systemd/builder.service")) ?? [];
    expect(line).toMatch(/^\/opt\/builder\/cli\/bin\/builder serve /);
    await expectFlags(["serve"], line.split(" "));
  });

  test("has a worker that the provider takes, and says how it would start it", async () => {
    const podTemplate = read("kubernetes/worker-pod.yaml");
    const config = parseCloudConfig({ provider: "k8s", namespace: "builder", podTemplate });
    const provider = await createProvider(config, { meshId: "m1", self: "me", now: Date.now });
    const [pod] = provider.plan(requestOf("plan"));
    expect(pod?.call).toBe("POST /api/v1/namespaces/builder/pods");
    await provider.close();
  });

  test("has cloud-init data whose modules exist and whose script is one", () => {
    const text = read("cloud-init/worker-image.yaml");
    expect(text).toMatch(/^#cloud-config\n/);
    const data = parse(text);
    const modules = ["package_update", "packages", "write_files", "runcmd", "power_state"];
    expect(Object.keys(data)).toEqual(modules);
    const [file] = data.write_files;
    execFileSync("sh", ["-n"], { input: file.content });
    expect(file.content).toContain("/opt/builder/cli/bin/builder");
    expect(data.runcmd[0]).toContain(file.path);
  });

  const systemd = "/usr/bin/systemd-analyze";
  test.skipIf(!existsSync(systemd))("has a unit that systemd takes (systemd-analyze)", () => {
    // The unit with a program that is here: whether it exists is checked too.
    const unit = join(place.folder, "builder.service");
    const program = join(root, "cli/bin/builder");
    writeFileSync(
      unit,
      read("systemd/builder.service").replace("/opt/builder/cli/bin/builder", program),
    );
    execFileSync(systemd, ["verify", unit], { stdio: "pipe" });
  });
});
