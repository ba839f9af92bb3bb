// A serving node's way into its mesh: the membership that its store keeps, or a new mesh of its
// own. One process a store may be that member; a second one is a guest with a name of its own.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivate } from "../cas/private-folder.ts";
import { wrap } from "../core/error.ts";
import { createMesh, guestOf, type MeshState, openMeshState } from "./mesh-state.ts";

/** A membership that this process alone uses. */
export interface EnteredMesh extends MeshState {
  /** Lets the next process be this member. */
  release(): void;
}

/**
 * Opens the membership in `folder` (`<store>/mesh`) or begins a mesh. FAILED_PRECONDITION where
 * another process is that member and may not vouch for a guest; DATA_LOSS names a damaged file.
 */
export async function enterMesh(
  folder: string,
  options: { readonly name: string; readonly meshName: string; readonly now: () => number },
): Promise<EnteredMesh> {
  makePrivate(folder);
  const release = claimIdentity(folder);
  try {
    const kept = await openMeshState(folder, options.now);
    const state = kept ?? (await createMesh(folder, options));
    if (release !== undefined) return { ...state, release };
    const guest = await guestOf(state, options.name, options.now());
    return { ...guest, release: () => undefined };
  } catch (error) {
    release?.();
    throw error;
  }
}

/**
 * Claims the identity in `folder` for this process: what gives it back, or undefined where a living
 * process has it. A claim of a process that was killed counts no more.
 */
export function claimIdentity(folder: string): (() => void) | undefined {
  const path = join(folder, "node.pid");
  const own = `${process.pid} ${startOf(process.pid)}`;
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      writeFileSync(path, own, { mode: 0o600, flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch (error) {
      const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
      if (!exists) throw error;
    }
    if (isAlive(path)) return undefined;
    rmSync(path, { force: true });
  }
  return undefined;
}

/** The process that is the member in `folder`; undefined where none runs. */
export function runningMember(folder: string): number | undefined {
  const path = join(folder, "node.pid");
  return isAlive(path) ? Number(readClaim(path).split(" ")[0]) : undefined;
}

function isAlive(path: string): boolean {
  const [pid = "", start = ""] = readClaim(path).split(" ");
  if (!/^\d+$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    // It may belong to another user, whom we may not signal.
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  // Numbers of processes come again; with the start they do not.
  return startOf(Number(pid)) === start;
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw wrap(error, `While reading ${path}`);
  }
}

/** When a process started, in ticks since boot; empty where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
