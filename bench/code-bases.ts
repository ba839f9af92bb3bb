// Real code bases to build: the sources come from npm packages, what builds them from folders here.

import { cpSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

/** A code base. */
export interface CodeBase {
  /** Name of its folder here, with its Builderfiles and a program of ours. */
  readonly name: "re2" | "leveldb";
  /** Where its sources are, below `node_modules`. */
  readonly sources: string;
}

/** RE2 and Abseil: some 200 sources of C++17, each with a hundred headers or more. */
export const re2: CodeBase = { name: "re2", sources: "re2/vendor" };

/** LevelDB and Snappy, with a header that is made while building and tests of their own. */
export const leveldb: CodeBase = { name: "leveldb", sources: "classic-level/deps" };

const root = resolve(import.meta.dirname, "..");

/** Lays a code base out in a folder, made here. */
export function layOut({ name, sources }: CodeBase, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const from of [join(root, "node_modules", sources), join(root, "bench", name)]) {
    cpSync(from, folder, { recursive: true });
  }
}
