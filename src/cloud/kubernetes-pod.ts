// From the user's template to the pod of one launch, with the Secret that lets it in.

import {
  dumpYaml,
  loadYaml,
  type V1OwnerReference,
  type V1Pod,
  type V1Secret,
} from "@kubernetes/client-node";
import { parse } from "yaml";
import { failureOf, MeshError } from "../core/error.ts";
import type { Market } from "../core/scaling.ts";
import { joinWords } from "./boot-script.ts";
import type { LaunchRequest } from "./provider.ts";

/** Labels that say whose a pod is. */
export const podLabels = {
  mesh: "builder-mesh",
  token: "builder-token",
  market: "builder-market",
} as const;

/** A drained pod has so long, in s, unless the template says otherwise. */
const graceS = 300;
/** Where the invitation is put in the container, and what the Secret calls it. */
const invitationName = "BUILDER_INVITATION";

/** A checked template. */
export type PodTemplate = V1Pod & { readonly spec: NonNullable<V1Pod["spec"]> };

/**
 * Reads a Pod in YAML or JSON. INVALID_ARGUMENT names what is missing, and each field that a Pod
 * does not have: the client would leave it out in silence.
 */
export function parsePodTemplate(text: string): PodTemplate {
  const given = parsedYaml(text);
  if (!isRecord(given) || given["kind"] !== "Pod" || given["apiVersion"] !== "v1") {
    throw wrong("is no Pod. It begins with `apiVersion: v1` and `kind: Pod`");
  }
  const { spec, ...pod } = typedPod(given);
  if (spec === undefined || !Array.isArray(spec.containers) || spec.containers.length === 0) {
    throw wrong("has no spec.containers. Name one with the image of a worker");
  }
  for (const [index, { image, name }] of spec.containers.entries()) {
    if (typeof name === "string" && typeof image === "string" && image !== "") continue;
    throw wrong(`has no name and image in spec.containers[${index}]`);
  }
  if ((spec.restartPolicy ?? "Never") !== "Never") {
    throw wrong(
      "has a restartPolicy. Leave it out: a worker that ended is replaced, not restarted",
    );
  }
  return { ...pod, spec };
}

/** A pod's name, the same whenever the same launch is asked for. */
export function podName(token: string): string {
  const lower = token.toLowerCase();
  // Names know no capitals; two tokens must not become one name.
  return lower === token ? `builder-${token}` : `builder-${lower}-${hexOf(token)}`;
}

/** The pod of a launch. Its program is `builder` unless the template's container has a command. */
export function launchedPod(
  template: PodTemplate,
  launch: {
    readonly meshId: string;
    readonly request: LaunchRequest;
    readonly owner: V1OwnerReference | undefined;
  },
): PodTemplate {
  const { meshId, request, owner } = launch;
  const { metadata = {}, spec } = template;
  const worker = spec.containers.find(({ name }) => name === "builder") ?? spec.containers[0];
  const name = podName(request.token);
  const secretKeyRef = { name, key: invitationName };
  // Kubernetes puts in what `$(…)` names; `$$` is a dollar.
  const named = request.boot.name.replaceAll("$", "$$$$");
  const boot = { ...request.boot, name: named, invitation: `$(${invitationName})` };
  return {
    ...template,
    metadata: {
      ...metadata,
      name,
      labels: { ...metadata.labels, ...labelsOf(meshId, request.token, request.market) },
      annotations: { ...metadata.annotations, "builder-name": request.boot.name },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      ...spec,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? graceS,
      containers: spec.containers.map((container) =>
        container !== worker
          ? container
          : {
              ...container,
              command: container.command ?? ["builder"],
              args: [...joinWords(boot), ...(container.args ?? [])],
              env: [
                ...(container.env ?? []),
                { name: invitationName, valueFrom: { secretKeyRef } },
              ],
            },
      ),
    },
  };
}

/** What the pod's container reads the invitation from. It goes with its pod. */
export function launchedSecret(
  { invitation }: LaunchRequest["boot"],
  pod: { readonly name: string; readonly uid: string; readonly meshId: string },
): V1Secret {
  const { name, uid, meshId } = pod;
  return {
    metadata: {
      name,
      labels: { [podLabels.mesh]: meshId },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid }],
    },
    stringData: { [invitationName]: invitation },
  };
}

function labelsOf(meshId: string, token: string, market: Market): Record<string, string> {
  return {
    "app.kubernetes.io/managed-by": "builder",
    [podLabels.mesh]: meshId,
    [podLabels.token]: token,
    [podLabels.market]: market,
  };
}

function parsedYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw wrong(`cannot be read: ${failureOf(error).message.split("\n")[0]}`);
  }
}

function typedPod(given: Record<string, unknown>): V1Pod {
  let kept: unknown;
  let pod: V1Pod;
  try {
    pod = loadYaml<V1Pod>(JSON.stringify(given));
    kept = parse(dumpYaml(pod));
  } catch (error) {
    throw wrong(`is no Pod: ${failureOf(error).message.slice(0, 200)}`);
  }
  const lost = lostField(given, kept, "");
  if (lost !== undefined) throw wrong(`has ${lost}, which is no field of a Pod`);
  return pod;
}

/** The path of the first field that only `given` has. */
function lostField(given: unknown, kept: unknown, path: string): string | undefined {
  if (given === null || typeof given !== "object") return undefined;
  const entries = Object.entries(given);
  const own = typeof kept === "object" && kept !== null ? Object.entries(kept) : [];
  const keptByName = new Map<string, unknown>(own);
  for (const [name, value] of entries) {
    const here = Array.isArray(given) ? `${path}[${name}]` : `${path}${path && "."}${name}`;
    if (value !== null && !keptByName.has(name)) return here;
    const deeper = lostField(value, keptByName.get(name), here);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

/** FNV-1a of a text: tells names apart, keeps no secrets. */
function hexOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `The file of --pod-template ${what}.`);
}
