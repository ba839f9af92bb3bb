// A Kubernetes API server as far as providers of machines use it: pods, Secrets, Leases and Events
// over REST for the official client, without a kubelet: a pod's program is a real one where a test
// gives one. Every write has its resourceVersion; the faults of a cluster come on order.

import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** Any object of the API, as JSON. */
export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    ownerReferences?: { uid: string; kind: string; name: string }[];
    creationTimestamp?: string;
    deletionTimestamp?: string;
    generateName?: string;
  };
  // biome-ignore lint/suspicious/noExplicitAny: a double stores what it is given
  [field: string]: any;
}

/** What goes wrong with the next request whose method and path fit. */
export type KubernetesFault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly message: string;
      readonly retryAfterS?: number;
    }
  /** The request does its work and its answer is lost. */
  | { readonly kind: "lost" }
  | { readonly kind: "hang" };

/** How a double behaves. */
export interface KubernetesDoubleOptions {
  readonly namespaces?: readonly string[];
  /** Pods that fit into the quota `builder-pods`. */
  readonly podsMax?: number;
  /** Objects of one page at most. */
  readonly pageMax?: number;
  /** Whether pods find a node. */
  readonly schedules?: boolean;
  /** A pod's program, given what its environment reads from Secrets. */
  readonly boot?: (pod: KubernetesObject, env: Record<string, string>) => ChildProcess;
}

/** A running double. */
export interface KubernetesDouble {
  readonly url: string;
  readonly requests: readonly string[];
  /** What was done, in the words of RBAC: `create pods`. */
  readonly rights: ReadonlySet<string>;
  /** Objects of a kind, such as `pods`. */
  objects(plural: string): KubernetesObject[];
  /** Faults of the next requests such as `POST pods`, in order. */
  fault(request: string, ...faults: readonly KubernetesFault[]): void;
  /** Lists that are under way do not go on. */
  expireLists(): void;
  /** Changes an object as a controller of the cluster would. */
  update(plural: string, name: string, change: (object: KubernetesObject) => void): void;
  /** Makes an object as somebody else in the cluster would. */
  add(plural: string, object: KubernetesObject): KubernetesObject;
  /** Writes a KUBECONFIG for it; `inCluster` is what the client calls the cluster around it. */
  config(folder: string, token?: string, cluster?: string): string;
  close(): Promise<void>;
}

/** The only bearer token that it takes. */
export const kubernetesDoubleToken = "double-token";

const kinds: Readonly<Record<string, readonly [apiVersion: string, kind: string]>> = {
  pods: ["v1", "Pod"],
  secrets: ["v1", "Secret"],
  events: ["v1", "Event"],
  leases: ["coordination.k8s.io/v1", "Lease"],
};

interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
}

/** Starts one. */
export async function startKubernetesDouble(
  options: KubernetesDoubleOptions = {},
): Promise<KubernetesDouble> {
  const namespaces = options.namespaces ?? ["builder"];
  const storeByPlural = new Map(
    Object.keys(kinds).map((plural) => [plural, new Map<string, KubernetesObject>()]),
  );
  const processByPod = new Map<string, ChildProcess>();
  const faultsByRequest = new Map<string, KubernetesFault[]>();
  const requests: string[] = [];
  const rights = new Set<string>();
  let version = 100;
  let listEpoch = 0;

  const storeOf = (plural: string) => storeByPlural.get(plural) ?? refuse(404, "NotFound", plural);

  function stamp(object: KubernetesObject): KubernetesObject {
    version += 1;
    object.metadata.resourceVersion = String(version);
    return object;
  }

  function create(plural: string, namespace: string, object: KubernetesObject): KubernetesObject {
    const [apiVersion, kind] = kinds[plural] ?? refuse(404, "NotFound", plural);
    const { metadata } = object;
    metadata.name ??= `${metadata.generateName}${version}`;
    const store = storeOf(plural);
    if (store.has(metadata.name)) {
      refuse(409, "AlreadyExists", `${plural} "${metadata.name}" already exists`);
    }
    if (plural === "pods") admit(object, store.size);
    Object.assign(object, { apiVersion, kind });
    const creationTimestamp = new Date().toISOString();
    Object.assign(metadata, { namespace, uid: `uid-${version}`, creationTimestamp });
    store.set(metadata.name, stamp(object));
    if (plural === "pods") object["status"] = { phase: "Pending", conditions: [] };
    schedule();
    return object;
  }

  function admit(pod: KubernetesObject, pods: number): void {
    const { name } = pod.metadata;
    if (pods >= (options.podsMax ?? 1000)) {
      const why = "exceeded quota: builder-pods, requested: pods=1, used: pods=1, limited: pods=1";
      refuse(403, "Forbidden", `pods "${name}" is forbidden: ${why}`);
    }
    if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)) {
      refuse(422, "Invalid", `Pod "${name}" is invalid: metadata.name`);
    }
    for (const [label, value] of Object.entries(pod.metadata.labels ?? {})) {
      if (/^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/.test(value)) continue;
      refuse(422, "Invalid", `Pod "${name}" is invalid: metadata.labels: ${label}`);
    }
  }

  /** The kubelet's part: a container waits for every Secret that its environment names. */
  function schedule(): void {
    for (const pod of storeOf("pods").values()) {
      if (pod["status"].phase !== "Pending" || pod.metadata.deletionTimestamp) continue;
      if (options.schedules === false) {
        const message = "0/3 nodes are available: 3 Insufficient cpu.";
        const condition = { type: "PodScheduled", status: "False", reason: "Unschedulable" };
        pod["status"].conditions = [{ ...condition, message }];
        continue;
      }
      const env = environmentOf(pod, storeOf("secrets"));
      if (env === undefined) continue;
      pod["status"].phase = "Running";
      pod["spec"].nodeName = "node-1";
      stamp(pod);
      const child = options.boot?.(pod, env);
      if (child === undefined) continue;
      processByPod.set(pod.metadata.name, child);
      child.once("exit", (code) => {
        processByPod.delete(pod.metadata.name);
        pod["status"].phase = code === 0 ? "Succeeded" : "Failed";
        stamp(pod);
        if (pod.metadata.deletionTimestamp) forget(pod);
      });
    }
  }

  function remove(plural: string, name: string): KubernetesObject {
    const object = storeOf(plural).get(name);
    if (object === undefined) return refuse(404, "NotFound", `${plural} "${name}" not found`);
    object.metadata.deletionTimestamp = new Date().toISOString();
    stamp(object);
    const child = processByPod.get(name);
    if (plural !== "pods" || child === undefined) {
      forget(object);
      return object;
    }
    child.kill("SIGTERM");
    const graceMs = (object["spec"].terminationGracePeriodSeconds ?? 30) * 1000;
    setTimeout(() => child.kill("SIGKILL"), graceMs).unref();
    return object;
  }

  /** With an object goes what belongs to it. */
  function forget({ metadata: { name, uid } }: KubernetesObject): void {
    for (const store of storeByPlural.values()) {
      if (store.get(name)?.metadata.uid === uid) store.delete(name);
      for (const { metadata } of [...store.values()]) {
        if (metadata.ownerReferences?.some((owner) => owner.uid === uid))
          store.delete(metadata.name);
      }
    }
  }

  function replace(plural: string, name: string, object: KubernetesObject): KubernetesObject {
    const old =
      storeOf(plural).get(name) ?? refuse(404, "NotFound", `${plural} "${name}" not found`);
    if (object.metadata.resourceVersion !== old.metadata.resourceVersion) {
      refuse(409, "Conflict", `the object has been modified; please apply your changes`);
    }
    const { uid, creationTimestamp } = old.metadata;
    Object.assign(object.metadata, { uid, creationTimestamp });
    storeOf(plural).set(name, stamp(object));
    return object;
  }

  function list(plural: string, query: URLSearchParams): object {
    const selector = query.get("labelSelector") ?? "";
    const wants = selector.split(",").filter(Boolean);
    const found = [...storeOf(plural).values()].filter(({ metadata: { labels = {} } }) =>
      wants.every((want) => {
        const [label = "", value] = want.split("=");
        return value === undefined ? labels[label] !== undefined : labels[label] === value;
      }),
    );
    const [epoch = String(listEpoch), start = "0"] = query.get("continue")?.split(".") ?? [];
    if (epoch !== String(listEpoch))
      refuse(410, "Expired", "The provided continue parameter is too old");
    const limit = Math.min(Number(query.get("limit") ?? 1000), options.pageMax ?? 1000);
    const end = Number(start) + limit;
    const [apiVersion, kind] = kinds[plural] ?? ["v1", "Object"];
    const more = end < found.length ? { continue: `${listEpoch}.${end}` } : {};
    const metadata = { resourceVersion: String(version), ...more };
    return { apiVersion, kind: `${kind}List`, metadata, items: found.slice(Number(start), end) };
  }

  function perform(method: string, url: URL, body: string): object {
    const match =
      /^\/(?:api|apis\/coordination\.k8s\.io)\/v1\/namespaces\/([^/]+)\/(\w+)(?:\/(.+))?$/.exec(
        url.pathname,
      );
    const [, namespace = "", plural = "", name] = match ?? refuse(404, "NotFound", url.pathname);
    const verbs: Record<string, string> = { POST: "create", PUT: "update", DELETE: "delete" };
    rights.add(`${verbs[method] ?? (name === undefined ? "list" : "get")} ${plural}`);
    if (!namespaces.includes(namespace)) {
      refuse(404, "NotFound", `namespaces "${namespace}" not found`);
    }
    if (method === "POST") return create(plural, namespace, JSON.parse(body));
    if (name === undefined) return list(plural, url.searchParams);
    if (method === "PUT") return replace(plural, name, JSON.parse(body));
    if (method === "DELETE") return remove(plural, name);
    return storeOf(plural).get(name) ?? refuse(404, "NotFound", `${plural} "${name}" not found`);
  }

  async function answer(request: http.IncomingMessage, response: http.ServerResponse) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? "", "http://double");
    const plural = /\/namespaces\/[^/]+\/(\w+)/.exec(url.pathname)?.[1] ?? "";
    const what = `${request.method} ${plural}`;
    requests.push(what);
    const fault = faultsByRequest.get(what)?.shift();
    if (fault?.kind === "hang") return;
    const reply = (status: number, value: object, headers = {}) =>
      response
        .writeHead(status, { "content-type": "application/json", ...headers })
        .end(JSON.stringify(value));
    try {
      if (request.headers.authorization !== `Bearer ${kubernetesDoubleToken}`) {
        refuse(401, "Unauthorized", "Unauthorized");
      }
      if (fault?.kind === "status") {
        const { status, message, retryAfterS } = fault;
        const headers = retryAfterS === undefined ? {} : { "retry-after": String(retryAfterS) };
        reply(status, statusOf({ status, message, reason: "Fault" }), headers);
        return;
      }
      const value = perform(request.method ?? "", url, Buffer.concat(chunks).toString());
      if (fault?.kind === "lost") request.socket.destroy();
      else reply(request.method === "POST" ? 201 : 200, value);
    } catch (error) {
      const refusal = error as Refusal;
      if (refusal.reason === undefined) throw error;
      reply(refusal.status, statusOf(refusal));
    }
  }

  const server = http.createServer((request, response) => void answer(request, response));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...{ url, requests, rights },
    objects: (plural) => [...storeOf(plural).values()],
    fault: (request, ...faults) => {
      faultsByRequest.set(request, [...(faultsByRequest.get(request) ?? []), ...faults]);
    },
    expireLists: () => {
      listEpoch += 1;
    },
    update: (plural, name, change) => {
      const object = storeOf(plural).get(name);
      if (object) change(stamp(object));
    },
    add: (plural, object) => create(plural, namespaces[0] ?? "", object),
    config: (folder, token = kubernetesDoubleToken, cluster = "double") =>
      writeConfig(folder, { server: url, token, cluster }),
    close: async () => {
      for (const child of processByPod.values()) child.kill("SIGKILL");
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function refuse(status: number, reason: string, message: string): never {
  throw { status, reason, message } satisfies Refusal;
}

function statusOf({ status, reason, message }: Refusal): object {
  const status_ = { apiVersion: "v1", kind: "Status", status: "Failure" };
  return { ...status_, reason, message, code: status };
}

/** Undefined while a Secret is missing. */
function environmentOf(
  pod: KubernetesObject,
  secrets: ReadonlyMap<string, KubernetesObject>,
): Record<string, string> | undefined {
  const env: Record<string, string> = {};
  for (const container of pod["spec"].containers) {
    for (const { name, value, valueFrom } of container.env ?? []) {
      const from = valueFrom?.secretKeyRef;
      const found = from === undefined ? value : secrets.get(from.name)?.["stringData"]?.[from.key];
      if (found === undefined) return undefined;
      env[name] = found;
    }
  }
  return env;
}

/** The client speaks plain HTTP only where it need not check certificates. */
function writeConfig(
  folder: string,
  { server, token, cluster }: { server: string; token: string; cluster: string },
): string {
  const path = join(folder, "kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: cluster, cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "tester", user: { token } }],
    contexts: [{ name: "test", context: { cluster, user: "tester" } }],
    "current-context": "test",
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
