import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ec2Double, ec2DoubleKey, startEc2Double } from "../support/ec2-double.ts";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let cloud: Ec2Double;
let node: SpawnedNode | undefined;
const machines: ChildProcess[] = [];
const patienceMs = 200_000;

/** Runs a machine's script as a machine would, but for what cannot be on a machine of many. */
function boot(script: string, { id }: { readonly id: string }): ChildProcess {
  const home = join(place.folder, id);
  mkdirSync(home);
  const path = `${join(place.folder, "machine-bin")}:${process.env["PATH"]}`;
  const env = { ...place.env, HOME: home, XDG_CACHE_HOME: join(home, "cache"), PATH: path };
  const child = spawn("sh", ["-c", script], { env, stdio: "ignore", detached: true });
  machines.push(child);
  return child;
}

beforeAll(async () => {
  const own = createPlace();
  const bin = join(own.folder, "machine-bin");
  mkdirSync(bin);
  const builder = join(root, "cli/bin/builder");
  const programs = {
    builder: `exec ${builder} "$@" --coordinator 127.0.0.1:0 --sandbox none --slots 2 > "$HOME/log" 2>&1`,
    shutdown: "exit 0",
  };
  for (const [name, line] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  cloud = await startEc2Double({ boot, images: { "ami-0123456789abcdef0": "builder-worker" } });
  const credentials = { AWS_ACCESS_KEY_ID: ec2DoubleKey, AWS_SECRET_ACCESS_KEY: "secret" };
  const aws = { AWS_ENDPOINT_URL_EC2: cloud.url, AWS_EC2_METADATA_DISABLED: "true" };
  place = { ...own, env: { ...own.env, ...credentials, ...aws } };
});
afterAll(async () => {
  await node?.stop();
  for (const { pid } of machines) {
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  await cloud.close();
  place.remove();
});

const living = () =>
  cloud.instances.filter(({ state }) => state === "running" || state === "pending");

async function status() {
  const args = ["remote", "status", "--json", "--coordinator", node?.address ?? ""];
  return JSON.parse((await run(place, "/", "builder", args)).stdout);
}

const serve = () =>
  startNode(place, [
    ...["--cloud", "aws", "--workers-min", "1", "--workers-max", "2", "--slots", "1"],
    ...["--sandbox", "none", "--mesh", "127.0.0.1:0"],
  ]);

test("a burst starts a machine that works, a killed coordinator finds it again, and idle it ends", async () => {
  const store = ["--store", join(place.folder, "node-store")];
  const configure = (...flags: string[]) =>
    run(place, "/", "builder", ["remote", "configure", ...store, ...flags]);
  const aws = ["--provider", "aws", "--region", "us-east-1", "--instance-type", "c5.2xlarge"];
  const waits = ["--target-wait", "200ms", "--idle-time", "2s"];
  const configured = await configure(...aws, "--image-id", "ami-0123456789abcdef0", ...waits);
  expect(configured.stderr).toBe("");
  node = await serve();
  expect(node.said()).toContain("autoscale enabled, further ones from aws");
  const target = (n: number) =>
    `target s${n}:\n    command: sleep 3; echo ${n} > o${n}\n    outputs: [o${n}]\n`;
  const text = Array.from({ length: 40 }, (_, n) => target(n)).join("\n");
  const folder = place.workspace({ Builderfile: text });
  const built = run(place, folder, "bldr", ["build", "-j", "40", `--remote=${node.address}`]);
  await eventually(
    "a machine is a worker",
    async () => (await status()).scaling.ready === 2,
    patienceMs,
  );
  expect(living()).toHaveLength(1);
  const { code, stdout } = await built;
  expect(code).toBe(0);
  expect(stdout).toMatch(/Executing on [a-z0-9]+-\d+-[a-z0-9]+\/worker-1 /);
  node.process.kill("SIGKILL");
  node = await serve();
  await eventually(
    "it is found again",
    async () => (await status()).scaling.ready === 2,
    patienceMs,
  );
  expect(cloud.instances).toHaveLength(1);
  await eventually("it is ended", () => living().length === 0, patienceMs);
  expect(cloud.instances).toHaveLength(1);
  await eventually("and gone", async () => (await status()).scaling.ready === 1, patienceMs);
  const record = await run(place, "/", "builder", ["remote", "decisions", ...node.asOwner]);
  expect(record.stdout).toMatch(/drain 1/);
}, 900_000);
