// `bldr compdb`: the compile commands of a workspace, for editors and checkers.

import type { Command } from "commander";

/** Adds the command. */
export function addCompdbCommand(program: Command): void {
  program
    .command("compdb")
    .argument("[targets...]", "whose sources; those of the whole workspace when left out")
    .description("Write compile_commands.json for editors and checkers of C and C++.")
    .option("-o, --out <file>", "another file; - for standard output")
    .action((names: string[], flags: { readonly out?: string }) => compdb(names, flags.out));
}

async function compdb(names: readonly string[], out: string | undefined): Promise<void> {
  const { readFileSync, renameSync, writeFileSync } = await import("node:fs");
  const { join, resolve } = await import("node:path");
  const { compileCommands } = await import("../../src/rules/compile-commands.ts");
  const { wrap } = await import("../../src/core/error.ts");
  const { planOf } = await import("../planned-build.ts");
  const { workspace, plan } = planOf(names.length > 0 ? names : ["//..."], true);
  const text = compileCommands(workspace.root, plan?.actions ?? []);
  if (out === "-") {
    process.stdout.write(text);
    return;
  }
  const file = out === undefined ? join(workspace.root, "compile_commands.json") : resolve(out);
  try {
    if (contentOf(() => readFileSync(file, "utf8")) === text) return;
    // Editors read it at any moment: it is whole or the one before.
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, text);
    renameSync(draft, file);
  } catch (error) {
    throw wrap(error, `While writing ${file}`);
  }
}

function contentOf(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
