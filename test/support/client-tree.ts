// Clients that Debian 12 does not have: they live in a file tree of Debian's next release, made by
// tools/make-client-tree.sh, together with the compiler that their actions name. A node that runs
// these actions lives there too.

import { existsSync } from "node:fs";
import { type Ended, type Place, root, run } from "./programs.ts";

const bubblewrap = "/usr/bin/bwrap";
const tree = "/var/cache/builder-tests/clients";

/** Why these clients cannot be run here; undefined where they can. */
export function whyNoTree(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can enter another file tree here";
  const needed = [`${tree}/usr/bin/recc`, bubblewrap];
  return needed.every((path) => existsSync(path)) ? undefined : "run tools/make-client-tree.sh";
}

/** Runs what follows it in the tree, with this machine's network and the folders given. */
export function inTree(...folders: readonly string[]): readonly string[] {
  const shown = [root, ...folders].flatMap((folder) => ["--bind", folder, folder]);
  const system = [
    "--dev-bind",
    "/dev",
    "/dev",
    "--bind",
    "/proc",
    "/proc",
    "--bind",
    "/sys",
    "/sys",
  ];
  return [bubblewrap, "--bind", tree, "/", ...system, ...shown, "--cap-add", "ALL"];
}

/** The same for a node: it ends with the program that entered, which passes no signal on. */
export function nodeInTree(...folders: readonly string[]): readonly string[] {
  return [...inTree(...folders), "--die-with-parent"];
}

/** Runs one of the clients, in `folder` of a place. */
export function runInTree(
  place: Place,
  folder: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const [bubblewrap = "", ...flags] = inTree(place.folder);
  return run(place, folder, bubblewrap, [...flags, "--chdir", folder, program, ...args], env);
}

const rules = {
  rules_cc: "rules/cc",
  rules_java: "rules/java",
  rules_java_builtin: "rules/java",
  rules_proto: "rules/proto",
  rules_python: "rules/python",
  rules_license: "rules/license",
  bazel_skylib: "tools/skylib",
  platforms: "tools/platforms",
};

/** Lines for `.bazelrc`: no network, and Debian's library for zstd, which it does not look for. */
export const bazel7Settings = [
  "startup --host_jvm_args=-Djava.library.path=/usr/lib/x86_64-linux-gnu",
  "common --noenable_bzlmod --enable_workspace",
  ...Object.entries(rules).map(
    ([name, path]) => `common --override_repository=${name}=/usr/share/bazel/${path}`,
  ),
  "",
].join("\n");
