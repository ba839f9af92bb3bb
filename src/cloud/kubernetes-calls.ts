// Calls to a Kubernetes API server by the official client, each with a deadline and further tries:
// that client has neither. Every call made here may be repeated without harm.

import {
  type ConfigurationOptions,
  CoordinationV1Api,
  CoreV1Api,
  KubeConfig,
  Observable,
  type ObservableMiddleware,
} from "@kubernetes/client-node";
import { MeshError } from "../core/error.ts";
import { isPassing, kubernetesError, kubernetesFault } from "./kubernetes-errors.ts";
import type { KubernetesConfig } from "./provider-config.ts";

/** Times and bounds of calls. */
export interface KubernetesCallOptions {
  /** One try of one call, in ms. */
  readonly answerMsMax: number;
  readonly tries: number;
  /** Pause before the second try in ms, doubled for each further one, unless the server says. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
}

/** The defaults. */
export const kubernetesCallDefaults: KubernetesCallOptions = {
  answerMsMax: 20_000,
  tries: 4,
  pauseMs: 250,
  pauseMsMax: 10_000,
};

/** The two parts of the API that are used, and how to call them. */
export interface KubernetesCalls {
  readonly core: CoreV1Api;
  readonly coordination: CoordinationV1Api;
  /** True where this process runs in a pod of the cluster that it calls. */
  readonly isInside: boolean;
  /** Calls until it works, fails for good or was tried often enough; throws MeshError. */
  call<T>(signal: AbortSignal, work: (options: CallOptions) => Promise<T>): Promise<T>;
}

/** What each call must be given as its last argument. */
export type CallOptions = ConfigurationOptions<ObservableMiddleware>;

/** The cluster of KUBECONFIG or ~/.kube/config, else the one around this pod. */
export function createKubernetesCalls(
  config: KubernetesConfig,
  options: KubernetesCallOptions = kubernetesCallDefaults,
): KubernetesCalls {
  const cluster = new KubeConfig();
  try {
    cluster.loadFromDefault();
  } catch (error) {
    const { message } = kubernetesFault(error);
    throw new MeshError("INVALID_ARGUMENT", `KUBECONFIG cannot be read: ${message}`);
  }

  async function call<T>(signal: AbortSignal, work: (options: CallOptions) => Promise<T>) {
    for (let tries = 1; ; tries += 1) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(options.answerMsMax)]);
      try {
        return await work(withSignal(deadline));
      } catch (error) {
        const fault = kubernetesFault(error);
        const isLast = tries >= options.tries || signal.aborted || !isPassing(fault);
        if (isLast) throw kubernetesError(error, config, signal);
        const ownMs = options.pauseMs * 2 ** (tries - 1);
        const askedMs = (fault.retryAfterS ?? 0) * 1000;
        await pause(Math.min(options.pauseMsMax, Math.max(ownMs, askedMs)), signal);
      }
    }
  }

  return {
    core: cluster.makeApiClient(CoreV1Api),
    coordination: cluster.makeApiClient(CoordinationV1Api),
    isInside: cluster.getCurrentCluster()?.name === "inCluster",
    call,
  };
}

/** The client takes a signal only by way of a middleware. */
function withSignal(signal: AbortSignal): CallOptions {
  const middleware: ObservableMiddleware = {
    pre: (context) => {
      context.setSignal(signal);
      return new Observable(Promise.resolve(context));
    },
    post: (context) => new Observable(Promise.resolve(context)),
  };
  return { middleware: [middleware], middlewareMergeStrategy: "append" };
}

/** Ends early, without an error, when the signal is aborted: the next try tells. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
