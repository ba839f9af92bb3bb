// Which tools an action runs with: the programs themselves are part of what its result depends on.
//
// Actions find programs on a PATH of the system's folders, which the sandbox shows; so they are
// looked for here in the same places. What else of the system counts, the name of the machine's
// toolchain stands for: an action wants to be run where that is the same.

import { createHash } from "node:crypto";
import { type BuildAction, systemPath } from "../rules/build-action.ts";
import { kitOf, readSystemToolchain } from "../rules/system-toolchain.ts";
import { absent, isSettled, type Look, lookAt } from "../workspace/look.ts";
import type { ActionTools } from "./prepared-action.ts";
import type { BuildState } from "./state.ts";
import type { Seen } from "./unchanged.ts";

/** The tools of this machine, each read when first asked for. */
export interface Toolchain {
  /**
   * The action's salt, one for each set of programs and empty where none of them is here, and the
   * toolchain it wants.
   */
  toolsOf(action: BuildAction): ActionTools;
  /** Every program that was looked for, found or not, as it was. */
  seen(): readonly Seen[];
}

/** Programs are read through the state: only a new look makes them read again. */
export function openToolchain(
  state: Pick<BuildState, "digestOf" | "seen">,
  now: () => number,
): Toolchain {
  const openedAtMs = now();
  const hashByProgram = new Map<string, string>();
  const saltByTools = new Map<string, Uint8Array>();
  const missed = new Map<string, Seen>();
  const found = new Set<string>();
  const system = readSystemToolchain((path) => state.digestOf(path).hash);

  function hashOf(program: string, searchPath: string): string {
    const key = `${program}\0${searchPath}`;
    const known = hashByProgram.get(key);
    if (known !== undefined) return known;
    const hash = findProgram(program, searchPath);
    hashByProgram.set(key, hash);
    return hash;
  }

  function findProgram(program: string, searchPath: string): string {
    for (const path of placesOf(program, searchPath)) {
      if (lookAt(path) === absent) missed.set(path, { path, look: absent });
      else {
        found.add(path);
        return state.digestOf(path).hash;
      }
    }
    return "";
  }

  function saltOf({ argv, tools = [], env }: BuildAction): Uint8Array {
    const programs = [...argv.slice(0, 1), ...tools];
    const searchPath = env["PATH"] ?? systemPath;
    const key = [searchPath, ...programs].join("\0");
    const known = saltByTools.get(key);
    if (known !== undefined) return known;
    const hashes = programs.map((program) => hashOf(program, searchPath));
    const all = hashes.join("\n");
    const salt = hashes.some((hash) => hash !== "")
      ? createHash("sha256").update(all).digest().subarray(0, 16)
      : new Uint8Array();
    saltByTools.set(key, salt);
    return salt;
  }

  return {
    toolsOf: (action) => ({
      salt: saltOf(action),
      toolchain: action.toolchain ?? system.nameOf(kitOf(action.mnemonic)),
    }),
    seen: () => [
      ...[...system.seen()].map(([path, look]) => seenTool(path, look, openedAtMs)),
      ...missed.values(),
      ...[...found].flatMap((path) => state.seen(path) ?? []),
    ],
  };
}

/** A file touched this very moment has no hash to be known by: the next build looks again. */
function seenTool(path: string, look: Look, nowMs: number): Seen {
  return isSettled(look, nowMs) ? { path, look } : { path, look, hash: "" };
}

/** A program with a slash that is not absolute is a file of the workspace: an input as others. */
function placesOf(program: string, searchPath: string): string[] {
  if (program.startsWith("/")) return [program];
  if (program.includes("/")) return [];
  const folders = searchPath.split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => `${folder}/${program}`);
}
