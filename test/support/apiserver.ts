// A real Kubernetes API server with etcd, where somebody built them: no kubelet, no scheduler, no
// controllers, so that pods are objects and nothing more.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { root } from "./programs.ts";

/** The programs, by BUILDER_KUBE_APISERVER and BUILDER_ETCD. */
export const apiserverPrograms = {
  apiserver: process.env["BUILDER_KUBE_APISERVER"],
  etcd: process.env["BUILDER_ETCD"],
};

/** A running server. */
export interface Apiserver {
  /** KUBECONFIG of the service account that deploy/kubernetes/rights.yaml makes. */
  readonly config: string;
  kubectl(...args: readonly string[]): string;
  /** Makes a quota of no pods; how much of it is used, a controller would say. */
  limitPods(name: string): void;
  close(): void;
}

const account = "system:serviceaccount:builder:builder-coordinator";

/** Starts both and gives the coordinator the rights that deploy has for it. */
export async function startApiserver(): Promise<Apiserver> {
  const { apiserver, etcd } = apiserverPrograms;
  if (apiserver === undefined || etcd === undefined) throw new Error("no programs are named");
  const folder = mkdtempSync(join(tmpdir(), "builder-apiserver-"));
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const children: ChildProcess[] = [];
  const run = (program: string, args: readonly string[]) => {
    children.push(spawn(program, args, { stdio: "ignore", cwd: folder }));
  };
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  run(etcd, [
    ...["--data-dir", join(folder, "etcd"), "--listen-client-urls", etcdUrl],
    ...["--advertise-client-urls", etcdUrl],
    ...["--listen-peer-urls", `http://127.0.0.1:${peerPort}`],
  ]);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = join(folder, "accounts.pem");
  writeFileSync(key, privateKey.export({ type: "pkcs1", format: "pem" }));
  const tokens = join(folder, "tokens.csv");
  writeFileSync(tokens, `admin,admin,1,"system:masters"\ncoordinator,${account},2\n`);
  run(apiserver, [
    ...["--etcd-servers", etcdUrl, "--cert-dir", join(folder, "certificates")],
    ...["--bind-address", "127.0.0.1", "--secure-port", String(port)],
    ...["--token-auth-file", tokens, "--authorization-mode", "RBAC"],
    ...["--service-account-issuer", "https://builder.test"],
    ...["--service-account-key-file", key, "--service-account-signing-key-file", key],
    // As clusters do: whether pods may be privileged is a matter of their namespace.
    ...["--disable-admission-plugins", "ServiceAccount", "--allow-privileged"],
  ]);
  const server = `https://127.0.0.1:${port}`;
  const admin = writeConfig(join(folder, "admin"), server, "admin");
  const kubectl = (...args: readonly string[]) =>
    execFileSync("kubectl", ["--kubeconfig", admin, ...args], { stdio: "pipe" }).toString();
  const close = () => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const isReady = () => kubectl("get", "--raw", "/readyz") === "ok";
    await eventually("the server is ready", () => attempt(isReady), 240_000);
    kubectl("apply", "-f", join(root, "deploy/kubernetes/rights.yaml"));
  } catch (error) {
    close();
    throw error;
  }
  const limitPods = (name: string) => {
    kubectl("-n", "builder", "create", "quota", name, "--hard=pods=0");
    const quota = JSON.parse(kubectl("-n", "builder", "get", "quota", name, "-o", "json"));
    const status = { hard: { pods: "0" }, used: { pods: "0" } };
    const path = join(folder, "quota");
    writeFileSync(path, JSON.stringify({ ...quota, status }));
    const object = `/api/v1/namespaces/builder/resourcequotas/${name}/status`;
    kubectl("replace", "--raw", object, "-f", path);
  };
  return {
    limitPods,
    config: writeConfig(join(folder, "coordinator"), server, "coordinator"),
    kubectl,
    close,
  };
}

function attempt(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

function writeConfig(path: string, server: string, token: string): string {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "u", user: { token } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === "object" && address !== null ? address.port : 0;
}
