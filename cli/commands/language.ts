// `bldr fmt`, `bldr check`, `bldr schema`: the language without a build.

import type { Command } from "commander";
import { MeshError } from "../../src/core/error.ts";

/** Adds the three commands. */
export function addLanguageCommands(program: Command): void {
  program
    .command("fmt")
    .argument("[files...]", "Builderfiles, Builderspaces and .bldr files; all below when left out")
    .option("--check", "change nothing; exit 1 and name the files that would change")
    .description("Lay out files of the language in the one style.")
    .action(format);
  program
    .command("check")
    .argument("[folders...]", "folders of the workspace; this one when left out")
    .description("Say everything that is wrong with the Builderfiles, without a build.")
    .action(check);
  program
    .command("schema")
    .option("--markdown", "the reference tables of the handbook instead")
    .description("Print a JSON schema of targets and workspaces.")
    .action(printSchema);
}

async function format(names: readonly string[], { check }: { check?: boolean }): Promise<void> {
  const { readFileSync, writeFileSync } = await import("node:fs");
  const { formatFile } = await import("../../src/builderfile/format.ts");
  const { formatAll } = await import("../../src/workspace/check-workspace.ts");
  const changed: string[] = [];
  const wrong: string[] = [];
  for (const file of names.length > 0 ? names : await filesBelow()) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (cause) {
      throw new MeshError("NOT_FOUND", `${file} cannot be read. Name a file.`, { cause });
    }
    const formatted = formatFile(text, file);
    if (!formatted.ok) wrong.push(formatAll(formatted.problems, text));
    else if (formatted.text !== text) {
      changed.push(file);
      if (check !== true) writeFileSync(file, formatted.text);
    }
  }
  for (const file of changed) process.stdout.write(`${file}\n`);
  if (wrong.length > 0) throw new MeshError("INVALID_ARGUMENT", wrong.join("\n"));
  if (check === true && changed.length > 0) process.exitCode = 1;
}

/** Paths of the language's files below the present folder, as seen from it. */
async function filesBelow(): Promise<string[]> {
  const { join, relative } = await import("node:path");
  const { realpathSync } = await import("node:fs");
  const { openWorkspace } = await import("../../src/workspace/workspace.ts");
  const { languageFiles } = await import("../../src/workspace/check-workspace.ts");
  const { root, here } = openWorkspace(process.cwd(), process.env);
  const from = realpathSync(process.cwd());
  return languageFiles(root, here).map((path) => relative(from, join(root, path)));
}

async function check(names: readonly string[]): Promise<void> {
  const { openWorkspace } = await import("../../src/workspace/workspace.ts");
  const { checkWorkspace } = await import("../../src/workspace/check-workspace.ts");
  const { relative, resolve, sep } = await import("node:path");
  const workspace = openWorkspace(process.cwd(), process.env);
  const folders = names.map((name) => {
    const folder = relative(workspace.root, resolve(workspace.root, workspace.here, name));
    if (folder !== ".." && !folder.startsWith(`..${sep}`)) return folder.split(sep).join("/");
    throw new MeshError("INVALID_ARGUMENT", `${name} is not in the workspace ${workspace.root}.`);
  });
  const { messages, files, targets } = checkWorkspace(
    workspace,
    folders.length > 0 ? folders : [workspace.here],
  );
  if (messages.length > 0) throw new MeshError("INVALID_ARGUMENT", messages.join("\n"));
  process.stdout.write(`Nothing is wrong. Builderfiles: ${files}, targets: ${targets}.\n`);
}

async function printSchema({ markdown }: { markdown?: boolean }): Promise<void> {
  if (markdown !== true) {
    const { targetSchema } = await import("../../src/builderfile/schema.ts");
    process.stdout.write(`${JSON.stringify(targetSchema(), undefined, 2)}\n`);
    return;
  }
  const { renderBuilderspaceTable, renderFieldTable } = await import(
    "../../src/builderfile/fields.ts"
  );
  const { renderBuiltinTable } = await import("../../src/builderfile/builtins.ts");
  process.stdout.write(
    [renderFieldTable(), renderBuiltinTable(), renderBuilderspaceTable()].join("\n"),
  );
}
