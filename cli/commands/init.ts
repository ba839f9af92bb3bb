// `bldr init`: a first Builderfile for a tree that has sources and none.

import type { Command } from "commander";

interface InitFlags {
  readonly force?: boolean;
  readonly print?: boolean;
}

/** Adds the command. */
export function addInitCommand(program: Command): void {
  program
    .command("init")
    .description("Write a Builderfile for the sources in this folder.")
    .option("--force", "replace the Builderfile that is there")
    .option("--print", "print it instead of writing it")
    .action((flags: InitFlags) => init(flags));
}

async function init({ force, print }: InitFlags): Promise<void> {
  const { existsSync, realpathSync, writeFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { MeshError, wrap } = await import("../../src/core/error.ts");
  const { draftBuilderfile } = await import("../../src/rules/draft-builderfile.ts");
  const folder = realpathSync(process.cwd());
  const file = join(folder, "Builderfile");
  if (!print && !force && existsSync(file)) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      "There is a Builderfile here. Look at another with --print, or replace it with --force.",
    );
  }
  const { text, targets } = draftBuilderfile(folder);
  if (print) {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw wrap(error, `While writing ${file}`);
  }
  const types = targets.map(({ type, name }) => `  ${type} ${name}\n`).join("");
  const next = targets.some(({ type }) => type === "test") ? "bldr build, bldr test" : "bldr build";
  process.stdout.write(`Wrote Builderfile:\n${types}Next: ${next}\n`);
}
