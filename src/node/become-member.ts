// `builder join`: from a link, or from what the store keeps, to a membership.

import { join } from "node:path";
import { makePrivate } from "../cas/private-folder.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { parseLink } from "../mesh/invitation.ts";
import type { Log } from "../telemetry/logger.ts";
import { claimIdentity, runningMember } from "./enter-mesh.ts";
import { enrol, isAlone, isElsewhere, type MeshState, openMeshState } from "./mesh-state.ts";

/** The mesh that a node is now a member of, by the names that people gave. */
export interface JoinedMesh {
  readonly name: string;
  readonly node: string;
}

/**
 * Joins by `link`, or checks that the store keeps a membership. A member whose link is used up
 * stays one. FAILED_PRECONDITION: no membership, or a node runs on that store; else as `enrol`.
 */
export async function becomeMember(
  link: string | undefined,
  options: {
    readonly store: string;
    readonly name: string;
    readonly now: () => number;
    readonly log: Log;
  },
): Promise<JoinedMesh> {
  const { name } = options;
  const folder = join(options.store, "mesh");
  makePrivate(folder);
  const release = claimIdentity(folder);
  if (release === undefined) throw nodeRuns(options.store, runningMember(folder));
  const state = await membershipIn(folder, link, options).finally(release);
  if (state === undefined || (link === undefined && isAlone(state))) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `${options.store} belongs to no mesh that others are in. Paste the line that a member ` +
        "prints: `builder mesh invite` there shows one. To begin a mesh: builder serve --remote.",
    );
  }
  return { name: state.settings().name, node: state.self.name || name };
}

/**
 * Whether a store could become a member of the mesh with this id (base64url), before people are
 * asked to let it in. FAILED_PRECONDITION as `becomeMember`.
 */
export function checkMayJoin(store: string, meshId: string): void {
  const folder = join(store, "mesh");
  const running = runningMember(folder);
  if (running !== undefined) throw nodeRuns(store, running);
  isElsewhere(folder, Buffer.from(meshId, "base64url"));
}

function nodeRuns(store: string, pid: number | undefined): MeshError {
  return new MeshError(
    "FAILED_PRECONDITION",
    `A node runs on ${store} already (process ${pid}). Stop it first, or name another folder with ` +
      "--store.",
  );
}

async function membershipIn(
  folder: string,
  link: string | undefined,
  options: Parameters<typeof becomeMember>[1],
): Promise<MeshState | undefined> {
  const kept = await openMeshState(folder, options.now);
  return link === undefined ? kept : await joinOrStay(link, kept, { folder, ...options });
}

async function joinOrStay(
  link: string,
  kept: MeshState | undefined,
  options: Parameters<typeof enrol>[1] & { readonly log: Log },
): Promise<MeshState> {
  try {
    return await enrol(link, options);
  } catch (error) {
    const { code, message } = failureOf(error);
    const isMember =
      kept !== undefined && Buffer.compare(kept.credential.meshId, parseLink(link).meshId) === 0;
    if (!isMember || !["UNAUTHENTICATED", "UNAVAILABLE"].includes(code)) throw error;
    options.log("warn", `${message} This machine is a member already and goes on as one.`);
    return kept;
  }
}
