// Who may start and end pods: the holder of a Lease. The mesh's own lease has no quorum (ADR 0016),
// so that a mesh in parts has two coordinators; the cluster knows only one of them.

import { type V1Lease, V1MicroTime } from "@kubernetes/client-node";
import { MeshError } from "../core/error.ts";
import type { CallOptions, KubernetesCalls } from "./kubernetes-calls.ts";
import { kubernetesFault } from "./kubernetes-errors.ts";

/** The Lease of a mesh. */
export interface LaunchLease {
  readonly name: string;
  /** Takes or renews it. ABORTED where another node holds it. */
  hold(signal: AbortSignal): Promise<void>;
  /** Gives it back where it is held. */
  release(signal: AbortSignal): Promise<void>;
}

/** For so long in s a holder that does not renew keeps it. */
const holdS = 15;

/** Another's Lease counts as given up once it stayed the same for its time by this node's clock. */
export function createLaunchLease(
  { coordination, call }: KubernetesCalls,
  where: { readonly namespace: string; readonly meshId: string; readonly self: string },
  now: () => number,
): LaunchLease {
  const { namespace, meshId, self } = where;
  const name = `builder-${meshId.toLowerCase()}`;
  let seen: { readonly version: string; readonly atMs: number } | undefined;
  let heldUntilMs = 0;
  let last: Promise<void> = Promise.resolve();

  const write = (found: V1Lease | undefined, signal: AbortSignal, holder = self) =>
    call(signal, (options) => writeOnce(found, holder, options));

  function writeOnce(found: V1Lease | undefined, holder: string, options: CallOptions) {
    const at = new V1MicroTime(now());
    const isMine = found?.spec?.holderIdentity === holder;
    const { leaseTransitions = 0, acquireTime = at } = found?.spec ?? {};
    const body: V1Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace, ...resourceVersionOf(found) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: holdS,
        renewTime: at,
        acquireTime: isMine ? acquireTime : at,
        leaseTransitions: isMine ? leaseTransitions : leaseTransitions + 1,
      },
    };
    return found === undefined
      ? coordination.createNamespacedLease({ namespace, body }, options)
      : coordination.replaceNamespacedLease({ name, namespace, body }, options);
  }

  async function read(signal: AbortSignal): Promise<V1Lease | undefined> {
    return call(signal, async (options) => {
      try {
        return await coordination.readNamespacedLease({ name, namespace }, options);
      } catch (error) {
        if (kubernetesFault(error).status === 404) return undefined;
        throw error;
      }
    });
  }

  /** Ms for which somebody else may still believe that it holds it. */
  function othersMs({ spec, metadata }: V1Lease): number {
    const holder = spec?.holderIdentity ?? "";
    if (holder === "" || holder === self) return 0;
    const version = metadata?.resourceVersion ?? "";
    if (seen?.version !== version) seen = { version, atMs: now() };
    return seen.atMs + (spec?.leaseDurationSeconds ?? holdS) * 1000 - now();
  }

  async function take(signal: AbortSignal): Promise<void> {
    if (now() < heldUntilMs) return;
    const found = await read(signal);
    const leftMs = found === undefined ? 0 : othersMs(found);
    if (leftMs > 0) {
      const holder = found?.spec?.holderIdentity ?? "";
      throw new MeshError(
        "ABORTED",
        `${holder} holds the Lease ${name} and scales this mesh; it may be free in ` +
          `${Math.ceil(leftMs / 1000)} s. Nothing has to be done.`,
      );
    }
    const startMs = now();
    await write(found, signal);
    heldUntilMs = startMs + (holdS * 1000) / 3;
  }

  return {
    name,
    hold: (signal) => {
      // One at a time: two writes of one node would take the Lease from each other.
      const turn = last.then(() => take(signal));
      last = turn.catch(() => undefined);
      return turn;
    },
    release: async (signal) => {
      if (heldUntilMs === 0) return;
      heldUntilMs = 0;
      const found = await read(signal);
      if (found?.spec?.holderIdentity === self) await write(found, signal, "");
    },
  };
}

/** A change of what was not read at this version is refused. */
function resourceVersionOf(lease: V1Lease | undefined) {
  const resourceVersion = lease?.metadata?.resourceVersion;
  return resourceVersion === undefined ? {} : { resourceVersion };
}
