// Go's standard library as actions: compiled where the build runs, once for all targets.

import { hermeticDefaults } from "../builderfile/model.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import { type BuildAction, goFolders, systemPath } from "./build-action.ts";
import { actionOf, type RuleDeps, toolWords } from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";

/** Where the archives of the standard library are in the exec root, by import path. */
const folder = ".builder/go/std";

/**
 * What most programs import. One action compiles them all: each alone would compile the runtime
 * again, and a new import in one file would be a new action for every target.
 */
const usual = [
  ...["bufio", "bytes", "cmp", "container/heap", "container/list", "context"],
  ...["encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "flag"],
  ...["fmt", "hash/fnv", "html", "io", "io/fs", "iter", "log", "maps", "math", "math/bits"],
  ...["math/rand", "os", "os/exec", "os/signal", "path", "path/filepath", "reflect", "regexp"],
  ...["runtime", "slices", "sort", "strconv", "strings", "sync", "sync/atomic", "testing"],
  ...["testing/internal/testdeps", "text/template", "time", "unicode", "unicode/utf8"],
];

/** Nothing of the machine that the action runs on reaches Go: no module, no setting, no cgo. */
export const goEnv = {
  CGO_ENABLED: "0",
  GO111MODULE: "off",
  GOENV: "off",
  GOPROXY: "off",
  GOTOOLCHAIN: "local",
  HOME: "/tmp",
  // What the PATH has comes first.
  PATH: [systemPath, ...goFolders].join(":"),
};

/** The actions that compile these packages of the standard library and all that they import. */
export function standardPackages(
  node: TargetNode,
  imports: readonly string[],
  deps: RuleDeps,
): BuildAction[] {
  const own = [...new Set(imports)].filter((path) => path !== "unsafe" && !usual.includes(path));
  const groups = [["usual", usual] as const, ...own.map((path) => [path, [path]] as const)];
  return groups.map(([name, packages]) => {
    // Where a target must stay on this machine, what it needs of Go does too.
    const { remote, toolchain } = node.target;
    const wish = toolchain === undefined ? "" : ` (${toolchain})`;
    const id = `GoStd ${name}${remote ? "" : " (here)"}${wish}`;
    const known = deps.shared.get(id);
    if (known !== undefined) return known;
    const go = toolWords(node.target, "GO", deps);
    const made: BuildAction = {
      ...actionOf(node),
      ...{ priority: 0, cache: true, parallelism: undefined, env: goEnv },
      hermetic: hermeticDefaults,
      id,
      mnemonic: "GoStd",
      argv: compilePackages(go, packages),
      inputs: [],
      outputs: [folder],
    };
    deps.shared.set(id, made);
    return made;
  });
}

function compilePackages(go: readonly string[], packages: readonly string[]): string[] {
  const format = "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}";
  const list = ["list", "-e", "-trimpath", "-export", "-deps", "-f", format, ...packages];
  return shellScript([
    'export GOCACHE="$PWD/go-cache" GOPATH="$PWD/go-path"',
    `${shellLine([...go, ...list])} > packages`,
    "while read -r name file; do",
    `  mkdir -p ${folder}/"\${name%/*}"`,
    `  cp "$file" ${folder}/"$name".a`,
    "done < packages",
    // A name without a slash made a folder of its own; only those that hold something stay.
    `find ${folder} -type d -empty -delete`,
  ]);
}

/** Lines that write `importcfg`: where the compiler finds each package. */
export function packageList(archives: ReadonlyMap<string, string>): string[] {
  const own = [...archives].map(([path, archive]) => shellWord(`packagefile ${path}=${archive}`));
  return [
    `(cd ${folder} && find . -name '*.a' | LC_ALL=C sort |`,
    `  sed 's|^\\./\\(.*\\)\\.a$|packagefile \\1=${folder}/\\1.a|') > importcfg`,
    ...(own.length === 0 ? [] : [`printf '%s\\n' ${own.join(" ")} >> importcfg`]),
  ];
}
