// What an action made, file by file, as far as two runs can be compared by it.

import { posix } from "node:path";
import type { ActionExecutor, ExecutedAction } from "../build/executor.ts";
import { readTreeMessage } from "../cas/merkle.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { coveredBy } from "../rules/rule.ts";
import { fromWireDigest } from "../wire/reapi.ts";

/** One file, symlink or folder. */
export interface MadeOutput {
  /** Equal for what is equal. */
  readonly key: string;
  /** For people: `a file`, `a program`, `a link to x`. */
  readonly what: string;
  /** Of a file. */
  readonly digest: Digest | undefined;
}

/** Outputs by their path in the workspace; of a command only those that are kept. */
export async function readOutputs(
  { result }: ExecutedAction,
  build: BuildAction,
  executor: ActionExecutor,
): Promise<ReadonlyMap<string, MadeOutput>> {
  const found = new Map<string, MadeOutput>();
  const isKept = build.keep.length === 0 ? () => true : coveredBy(build.keep);
  const add = (path: string, made: MadeOutput) => {
    const here = posix.join(build.workingDirectory, path);
    if (isKept(here)) found.set(here, made);
  };
  for (const { path, digest, isExecutable } of result.outputFiles) {
    add(path, fileOf(fromWireDigest(digest, "sha256", path), isExecutable));
  }
  for (const { path, target } of result.outputSymlinks) add(path, linkTo(target));
  for (const folder of result.outputDirectories) {
    const tree = await executor.get(fromWireDigest(folder.treeDigest, "sha256", folder.path));
    for (const entry of await readTreeMessage(tree, "sha256")) {
      const path = posix.join(folder.path, entry.path);
      if (entry.kind === "file") add(path, fileOf(entry.digest, entry.executable));
      else if (entry.kind === "symlink") add(path, linkTo(entry.target));
      else add(path, { key: "folder", what: "a folder", digest: undefined });
    }
  }
  return found;
}

function fileOf(digest: Digest, executable: boolean): MadeOutput {
  const what = executable ? "a program" : "a file";
  return { key: `${digestKey(digest)} ${what}`, what, digest };
}

function linkTo(target: string): MadeOutput {
  return { key: `link ${target}`, what: `a link to ${target}`, digest: undefined };
}
