// The mesh of a store on which no node runs: for commands that need none.

import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { runningMember } from "./enter-mesh.ts";
import { describeMesh, findMember, isAdmin } from "./mesh-control.ts";
import { type MeshState, openMeshState } from "./mesh-state.ts";

/** What can be done without a node. */
export interface IdleMesh {
  describe(): ReturnType<typeof describeMesh>;
  members(): ReturnType<MeshState["members"]>;
  /** Kept, and told to the others when this node runs again. */
  revoke(
    member: string,
  ): Promise<{ readonly peer: string; readonly name: string; readonly admin: boolean }>;
  leave(): void;
}

/** FAILED_PRECONDITION where a node runs on `store`, NOT_FOUND where there is no membership. */
export async function openIdleMesh(store: string, now: () => number): Promise<IdleMesh> {
  const folder = join(store, "mesh");
  const running = runningMember(folder);
  if (running !== undefined) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `The node of ${store} runs (process ${running}) but does not answer where it was asked. ` +
        "Name its address with --coordinator.",
    );
  }
  const state = await openMeshState(folder, now);
  if (state === undefined) {
    throw new MeshError(
      "NOT_FOUND",
      `No node answers, and ${store} belongs to no mesh. Name a node with --coordinator, or a ` +
        "store with --store.",
    );
  }
  return {
    describe: () => describeMesh(state),
    members: state.members,
    revoke: async (member) => {
      const found = findMember(member, [...state.admitted(), ...state.members()]);
      await state.revoke(found.peer);
      return { ...found, admin: isAdmin(state, found.peer) };
    },
    leave: state.leave,
  };
}
