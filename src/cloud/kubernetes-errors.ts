// What a Kubernetes API server says is wrong, as an error with the setting that can change it.

import { ApiException } from "@kubernetes/client-node";
import { type Code, MeshError } from "../core/error.ts";
import type { KubernetesConfig } from "./provider-config.ts";

/** The Status object of a refusal, as far as it is used. */
export interface KubernetesFault {
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly message: string;
  /** Seconds after which to try again, where the server says so. */
  readonly retryAfterS: number | undefined;
}

/** Reads anything that a call threw. */
export function kubernetesFault(error: unknown): KubernetesFault {
  if (!(error instanceof ApiException)) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const message = cause instanceof Error ? cause.message : String(cause);
    return { status: 0, message, retryAfterS: undefined };
  }
  const retryAfterS = Number(error.headers?.["retry-after"]);
  return {
    status: error.code,
    message: messageOf(error.body) ?? `HTTP status ${error.code}`,
    retryAfterS: Number.isFinite(retryAfterS) && retryAfterS >= 0 ? retryAfterS : undefined,
  };
}

/** True where the same call may work in a moment. */
export function isPassing({ status }: KubernetesFault): boolean {
  return status === 0 || status === 429 || status >= 500;
}

/** The error for people. CANCELLED where the caller gave up. */
export function kubernetesError(
  error: unknown,
  config: KubernetesConfig,
  signal?: AbortSignal,
): MeshError {
  if (error instanceof MeshError) return error;
  if (signal?.aborted === true) {
    return new MeshError("CANCELLED", "The call to Kubernetes was given up.", { cause: error });
  }
  const fault = kubernetesFault(error);
  const [code, remedy] = meaningOf(fault, config);
  const said = `Kubernetes said: ${fault.message}`.slice(0, 400);
  return new MeshError(code, `${remedy} (${said})`, { cause: error });
}

function meaningOf(fault: KubernetesFault, config: KubernetesConfig): [Code, string] {
  const { status, message } = fault;
  const { namespace } = config;
  const quota = /exceeded quota: ([^,\s]{1,253})/.exec(message)?.[1];
  if (quota !== undefined) {
    const remedy = `The quota ${quota} of namespace ${namespace} is used up. Raise it, or lower`;
    return ["RESOURCE_EXHAUSTED", `${remedy} --workers-max or what --pod-template asks for.`];
  }
  if (/HTTP protocol is not allowed|No active cluster/.test(message)) {
    const remedy = "No cluster is known here: run in one, or have KUBECONFIG name a file.";
    return ["PERMISSION_DENIED", remedy];
  }
  switch (status) {
    case 401:
      return ["PERMISSION_DENIED", "The cluster does not take the credentials of KUBECONFIG."];
    case 403:
      return forbidden(message, namespace);
    case 404:
      return ["NOT_FOUND", `Is there a namespace ${namespace}? Create it or correct --namespace.`];
    case 409:
      return ["ABORTED", "Somebody else changed the same thing. Try again."];
    case 400:
    case 422:
      return ["INVALID_ARGUMENT", "The cluster refuses such a pod. Correct --pod-template."];
    case 429:
      return ["UNAVAILABLE", "The cluster asks to slow down."];
  }
  if (status === 0 || status >= 500) {
    return ["UNAVAILABLE", "The cluster does not answer. Is the network up, and KUBECONFIG right?"];
  }
  return ["INTERNAL", "The cluster failed in an unknown way."];
}

/** Rights and admission both answer 403. */
function forbidden(message: string, namespace: string): [Code, string] {
  const [, verb, resource] = /cannot (\w+) resource "([\w.]+)"/.exec(message) ?? [];
  if (verb === undefined) {
    const remedy = `Namespace ${namespace} does not admit such a pod. Correct --pod-template.`;
    return ["INVALID_ARGUMENT", remedy];
  }
  const right = `the right to ${verb} ${resource} in namespace ${namespace}`;
  return [
    "PERMISSION_DENIED",
    `The coordinator lacks ${right}: see deploy/kubernetes/rights.yaml.`,
  ];
}

/** A body may be a Status, its text, or anything a proxy says. */
function messageOf(body: unknown): string | undefined {
  if (typeof body === "string") {
    try {
      return messageOf(JSON.parse(body)) ?? body;
    } catch {
      return body;
    }
  }
  const isStatus = typeof body === "object" && body !== null && "message" in body;
  return isStatus && typeof body.message === "string" ? body.message : undefined;
}
