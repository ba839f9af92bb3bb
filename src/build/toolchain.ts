// Which tools an action runs with: the programs themselves are part of what its result depends on.
//
// Actions find programs on a PATH of the system's folders, which the sandbox shows; so they are
// looked for here in the same places. Headers and libraries of the system are not looked at.

import { createHash } from "node:crypto";
import { type BuildAction, systemPath } from "../rules/build-action.ts";
import { absent, lookAt } from "../workspace/look.ts";
import type { BuildState } from "./state.ts";
import type { Seen } from "./unchanged.ts";

/** The tools of this machine, each read when first asked for. */
export interface Toolchain {
  /** The action's salt: one for each set of tools; empty where none of them is here. */
  saltOf(action: BuildAction): Uint8Array;
  /** Every program that was looked for, found or not, as it was. */
  seen(): readonly Seen[];
}

/** Programs are read through the state: only a new look makes them read again. */
export function openToolchain(state: Pick<BuildState, "digestOf" | "seen">): Toolchain {
  const hashByProgram = new Map<string, string>();
  const saltByTools = new Map<string, Uint8Array>();
  const missed = new Map<string, Seen>();
  const found = new Set<string>();

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

  return {
    saltOf: ({ argv, tools = [], env }) => {
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
    },
    seen: () => [...missed.values(), ...[...found].flatMap((path) => state.seen(path) ?? [])],
  };
}

/** A program with a slash that is not absolute is a file of the workspace: an input as others. */
function placesOf(program: string, searchPath: string): string[] {
  if (program.startsWith("/")) return [program];
  if (program.includes("/")) return [];
  const folders = searchPath.split(":").filter((folder) => folder.startsWith("/"));
  return folders.map((folder) => `${folder}/${program}`);
}
