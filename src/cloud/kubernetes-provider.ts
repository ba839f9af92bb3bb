// Workers as pods. Bare ones: of a Deployment, Kubernetes itself chooses which replica ends, and it
// would choose busy ones. Deleting a pod asks its program to drain within the pod's grace period.

import { hostname } from "node:os";
import type {
  CoreV1Event,
  CoreV1ApiListNamespacedPodRequest as PodList,
  V1OwnerReference,
  V1Pod,
} from "@kubernetes/client-node";
import { failureOf, MeshError } from "../core/error.ts";
import { type CallOptions, createKubernetesCalls } from "./kubernetes-calls.ts";
import { kubernetesFault } from "./kubernetes-errors.ts";
import { createLaunchLease } from "./kubernetes-lease.ts";
import {
  launchedPod,
  launchedSecret,
  type PodTemplate,
  parsePodTemplate,
  podLabels,
  podName,
} from "./kubernetes-pod.ts";
import type { LaunchRequest, PlannedCall, ProvidedMachine, Provider } from "./provider.ts";
import { type CloudDeps, checkLaunch, type KubernetesConfig } from "./provider-config.ts";

/** Pods of one page of a list. */
const pageSize = 250;
/** Pods that ended are kept so long, in ms, for people to look at. */
const keepEndedMs = 600_000;

/** Connects to nothing yet. INVALID_ARGUMENT where the template or KUBECONFIG cannot be. */
export function createKubernetesProvider(config: KubernetesConfig, deps: CloudDeps): Provider {
  const template = parsePodTemplate(config.podTemplate);
  const { namespace } = config;
  const calls = createKubernetesCalls(config);
  const { core, call } = calls;
  const lease = createLaunchLease(calls, { namespace, ...deps }, deps.now);
  const owner = once((signal: AbortSignal) => findOwner(calls, namespace, signal));
  let sweptAtMs = deps.now();

  async function create(request: LaunchRequest, signal: AbortSignal): Promise<V1Pod> {
    const launch = { meshId: deps.meshId, request, owner: await owner(signal) };
    const body = launchedPod(template, launch);
    const name = podName(request.token);
    const pod = await call(signal, async (options) => {
      try {
        return await core.createNamespacedPod({ namespace, body }, options);
      } catch (error) {
        if (kubernetesFault(error).status !== 409) throw error;
        return await core.readNamespacedPod({ name, namespace }, options);
      }
    });
    try {
      await letIn(request, pod, signal);
    } catch (error) {
      // Without its Secret it would wait for ever.
      await end(name, signal).catch(() => undefined);
      throw error;
    }
    return pod;
  }

  async function letIn(request: LaunchRequest, pod: V1Pod, signal: AbortSignal): Promise<void> {
    const { name = "", uid = "" } = pod.metadata ?? {};
    const body = launchedSecret(request.boot, { name, uid, meshId: deps.meshId });
    await call(signal, (options) =>
      unless(409, core.createNamespacedSecret({ namespace, body }, options)),
    );
  }

  async function end(name: string, signal: AbortSignal): Promise<void> {
    await call(signal, (options) =>
      unless(404, core.deleteNamespacedPod({ name, namespace }, options)),
    );
  }

  async function pods(signal: AbortSignal): Promise<V1Pod[]> {
    const labelSelector = `${podLabels.mesh}=${deps.meshId},${podLabels.token}`;
    for (let tries = 1; ; tries += 1) {
      const found = await allPages({ namespace, labelSelector, limit: pageSize }, signal);
      if (found !== "expired") return found;
      // Two lists that took too long for the server: it has more to do than it can.
      if (tries === 2) throw new MeshError("UNAVAILABLE", "The cluster cannot list pods now.");
    }
  }

  async function allPages(list: PodList, signal: AbortSignal): Promise<V1Pod[] | "expired"> {
    const found: V1Pod[] = [];
    let after: string | undefined;
    do {
      const page = after === undefined ? list : { ...list, _continue: after };
      const answer = await call(signal, (options) => listPage(page, options));
      if (answer === "expired") return answer;
      found.push(...answer.items);
      after = answer.metadata?._continue || undefined;
    } while (after !== undefined);
    return found;
  }

  async function listPage(page: PodList, options: CallOptions) {
    try {
      return await core.listNamespacedPod(page, options);
    } catch (error) {
      if (kubernetesFault(error).status === 410 && page._continue !== undefined) return "expired";
      throw error;
    }
  }

  /** Says in the cluster what was done and why; whoever may not write events does without. */
  async function tell(
    about: CoreV1Event["involvedObject"],
    event: Pick<CoreV1Event, "reason" | "message" | "type">,
    signal: AbortSignal,
  ): Promise<void> {
    const at = new Date(deps.now());
    const body: CoreV1Event = {
      ...event,
      metadata: { generateName: "builder-", namespace },
      involvedObject: { ...about, namespace },
      source: { component: "builder" },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    };
    await call(signal, (options) => core.createNamespacedEvent({ namespace, body }, options)).catch(
      () => undefined,
    );
  }

  /** Nobody else deletes pods that ended. */
  async function sweep(signal: AbortSignal): Promise<void> {
    if (deps.now() - sweptAtMs < keepEndedMs) return;
    sweptAtMs = deps.now();
    for (const pod of await pods(signal)) {
      const isOld = deps.now() - endedAtMs(pod) > keepEndedMs;
      if (isOld && machineOf(pod).state === "ended") await end(machineOf(pod).id, signal);
    }
  }

  const leaseObject = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", name: lease.name };

  return {
    name: `k8s ${namespace}`,
    launch: async (request, { signal }) => {
      checkLaunch(request);
      await lease.hold(signal);
      try {
        const pod = await create(request, signal);
        const { name = "", uid = "" } = pod.metadata ?? {};
        const message = `Builder started ${request.boot.name} (launch ${request.token}).`;
        const event = { type: "Normal", reason: "WorkerStarted", message };
        await tell({ apiVersion: "v1", kind: "Pod", name, uid }, event, signal);
        await sweep(signal).catch(() => undefined);
        return machineOf(pod);
      } catch (error) {
        const message = `${request.boot.name}: ${failureOf(error).message}`.slice(0, 1000);
        const event = { type: "Warning", reason: "WorkerNotStarted", message };
        await tell(leaseObject, event, signal);
        throw error;
      }
    },
    terminate: async (ids, { signal }) => {
      if (ids.length > 0) await lease.hold(signal);
      for (const id of ids) await end(id, signal);
    },
    list: async ({ signal }) => (await pods(signal)).map(machineOf),
    plan: (request) => plannedCalls(config, template, deps.meshId, request),
    close: async () => {
      await lease.release(AbortSignal.timeout(5_000)).catch(() => undefined);
    },
  };
}

/**
 * What this process's own pod belongs to, else that pod: workers go when it is uninstalled, and
 * stay when the pod is merely replaced. Undefined outside of the cluster and in other namespaces.
 */
async function findOwner(
  { core, call, isInside }: ReturnType<typeof createKubernetesCalls>,
  namespace: string,
  signal: AbortSignal,
): Promise<V1OwnerReference | undefined> {
  if (!isInside) return undefined;
  const pod = await call(signal, (options) =>
    unless(404, core.readNamespacedPod({ name: hostname(), namespace }, options)),
  );
  const { uid, name, ownerReferences = [] } = pod?.metadata ?? {};
  if (uid === undefined || name === undefined) return undefined;
  const keeper = ownerReferences.find(({ controller }) => controller === true);
  const { apiVersion, kind, ...of } = keeper ?? { apiVersion: "v1", kind: "Pod", name, uid };
  return { apiVersion, kind, name: of.name, uid: of.uid };
}

function plannedCalls(
  { namespace }: KubernetesConfig,
  template: PodTemplate,
  meshId: string,
  request: LaunchRequest,
): PlannedCall[] {
  const path = `/api/v1/namespaces/${namespace}`;
  const invitation = "builder://join/…";
  const name = podName(request.token);
  const secret = { name, uid: "(of the pod)", meshId };
  return [
    {
      call: `POST ${path}/pods`,
      input: launchedPod(template, { meshId, request, owner: undefined }),
    },
    {
      call: `POST ${path}/secrets`,
      input: launchedSecret({ ...request.boot, invitation }, secret),
    },
  ];
}

function machineOf({ metadata, spec, status }: V1Pod): ProvidedMachine {
  const { name = "", labels = {}, deletionTimestamp, creationTimestamp } = metadata ?? {};
  const isOver = status?.phase === "Succeeded" || status?.phase === "Failed";
  const isRunning = status?.phase === "Running";
  const living = isRunning ? "running" : "starting";
  return {
    id: name,
    token: labels[podLabels.token] ?? "",
    state: isOver ? "ended" : deletionTimestamp ? "ending" : living,
    market: labels[podLabels.market] === "spot" ? "spot" : "on-demand",
    launchedAtMs: creationTimestamp?.getTime() ?? 0,
    what: isRunning ? (spec?.nodeName ?? "") : whyNot(status),
  };
}

/** Why a pod does not run yet, or not any more, as far as the cluster tells. */
function whyNot(status: V1Pod["status"]): string {
  const unscheduled = status?.conditions?.find(
    ({ type, status: is }) => type === "PodScheduled" && is === "False",
  );
  const waiting = status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting;
  const { reason, message } = unscheduled ?? waiting ?? status ?? {};
  return [reason, message].filter(Boolean).join(": ").slice(0, 200);
}

function endedAtMs({ status, metadata }: V1Pod): number {
  const ends = (status?.containerStatuses ?? []).map(({ state }) => state?.terminated?.finishedAt);
  const last = Math.max(0, ...ends.map((at) => at?.getTime() ?? 0));
  return last || (metadata?.creationTimestamp?.getTime() ?? 0);
}

/** Undefined where the server answers with this status. */
async function unless<T>(status: number, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (kubernetesFault(error).status === status) return undefined;
    throw error;
  }
}

/** Asks once; what failed is asked again. */
function once<T>(ask: (signal: AbortSignal) => Promise<T>): (signal: AbortSignal) => Promise<T> {
  let answer: { readonly value: T } | undefined;
  return async (signal) => {
    answer ??= { value: await ask(signal) };
    return answer.value;
  };
}
