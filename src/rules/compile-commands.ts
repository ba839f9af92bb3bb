// The compile actions of a plan as a JSON compilation database
// (https://clang.llvm.org/docs/JSONCompilationDatabase.html).

import type { BuildAction } from "./build-action.ts";

/**
 * The text of `compile_commands.json`, in the order of files and then outputs, whatever the order
 * of the actions. `root` is the absolute folder that the paths are relative to.
 */
export function compileCommands(root: string, actions: readonly BuildAction[]): string {
  const entries = actions
    .filter(({ mnemonic }) => mnemonic === "CppCompile")
    .flatMap(({ argv, outputs }) => {
      const file = argv[argv.lastIndexOf("-c") + 1];
      const [output] = outputs;
      if (file === undefined || output === undefined) return [];
      return [{ directory: root, file, output, arguments: argv }];
    })
    .sort((a, b) => compare(a.file, b.file) || compare(a.output, b.output));
  // One entry a line: a change of flags is a small diff.
  return `[\n${entries.map((entry) => JSON.stringify(entry)).join(",\n")}\n]\n`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
