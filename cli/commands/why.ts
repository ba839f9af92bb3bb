// `bldr why`: why something would be built now, and why one thing depends on another.

import type { Command } from "commander";

/** Adds the command. */
export function addWhyCommand(program: Command): void {
  program
    .command("why")
    .argument("<what>", "target or file")
    .argument("[other]", "target or file that it may depend on, or the other way round")
    .description("Say why a target would be built now, or why one thing depends on another.")
    .action(async (what: string, other: string | undefined) => {
      const { openWorkspace } = await import("../../src/workspace/workspace.ts");
      const { explainDependency, explainFile, named } = await import(
        "../../src/build/why-depends.ts"
      );
      const { explainTarget } = await import("../../src/build/why-built.ts");
      const { printable } = await import("../../src/telemetry/logger.ts");
      const workspace = openWorkspace(process.cwd(), process.env);
      const deps = { workspace, env: process.env, now: Date.now };
      const first = named(workspace, what);
      const explainOne = async () =>
        first.kind === "target"
          ? await explainTarget(deps, first.placed)
          : explainFile(deps, first.name);
      const lines =
        other === undefined
          ? await explainOne()
          : explainDependency(deps, first, named(workspace, other));
      process.stdout.write(lines.map((line) => `${printable(line)}\n`).join(""));
    });
}
