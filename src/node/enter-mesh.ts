// A serving node's way into its mesh: the membership that its store keeps, or a new mesh of its
// own. One process a store may be that member; a second one is a guest with a name of its own.

import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isErrno } from "../cas/disk-files.ts";
import { makePrivate } from "../cas/private-folder.ts";
import { MeshError, wrap } from "../core/error.ts";
import { isLiving, processMark } from "./living-process.ts";
import { createMesh, guestOf, type MeshState, openMeshState } from "./mesh-state.ts";
import { linkIfNew, writeFirst } from "./state-files.ts";

/** A membership that this process alone uses. */
export interface EnteredMesh extends MeshState {
  /** Lets the next process be this member. */
  release(): void;
}

/** How long a starting process waits for another one that is about to begin the mesh, in ms. */
const beginningMs = 30_000;
/** How often it looks, in ms. */
const lookMs = 20;

/**
 * Opens the membership in `folder` (`<store>/mesh`) or begins a mesh. FAILED_PRECONDITION where
 * another process is that member and may not vouch for a guest; DATA_LOSS names a damaged file.
 */
export async function enterMesh(
  folder: string,
  options: { readonly name: string; readonly meshName: string; readonly now: () => number },
): Promise<EnteredMesh> {
  makePrivate(folder);
  // Only who has the claim begins a mesh: two would each overwrite the other's key.
  for (let waitedMs = 0; waitedMs < beginningMs; waitedMs += lookMs) {
    const release = claimIdentity(folder);
    if (release !== undefined) return await enterAsMember(folder, options, release);
    const kept = await openMeshState(folder, options.now);
    if (kept !== undefined) {
      const guest = await guestOf(kept, options.name, options.now());
      return { ...guest, release: () => undefined };
    }
    await setTimeout(lookMs);
  }
  throw new MeshError(
    "FAILED_PRECONDITION",
    `Process ${runningMember(folder)} has ${folder} and does not begin its mesh. End it, or name ` +
      "another folder with --store.",
  );
}

async function enterAsMember(
  folder: string,
  options: Parameters<typeof createMesh>[1],
  release: () => void,
): Promise<EnteredMesh> {
  try {
    const kept = await openMeshState(folder, options.now);
    return { ...(kept ?? (await createMesh(folder, options))), release };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * Claims the identity in `folder` for this process: what gives it back, or undefined where a living
 * process has it. A claim of a process that was killed counts no more.
 */
export function claimIdentity(folder: string): (() => void) | undefined {
  const path = join(folder, "node.pid");
  for (let tries = 0; tries < 3; tries += 1) {
    // Whole at once: a claim without its text would look like one of a process that is gone.
    if (writeFirst(path, processMark(process.pid))) return () => rmSync(path, { force: true });
    if (isAlive(path)) return undefined;
    removeClaim(path, `${path}.${randomUUID()}`);
  }
  return undefined;
}

/** Removes the claim of a process that is gone, and no other that came in its place meanwhile. */
function removeClaim(path: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  if (isAlive(aside)) linkIfNew(aside, path);
  rmSync(aside);
}

/** The process that is the member in `folder`; undefined where none runs. */
export function runningMember(folder: string): number | undefined {
  const path = join(folder, "node.pid");
  return isAlive(path) ? Number(readClaim(path).split(" ")[0]) : undefined;
}

function isAlive(path: string): boolean {
  return isLiving(readClaim(path));
}

function readClaim(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw wrap(error, `While reading ${path}`);
  }
}
