// `bldr query`: which targets an expression stands for.

import type { Command } from "commander";
import type { QueryItem } from "../../src/workspace/query.ts";
import type { QueryAnswer } from "../../src/workspace/query-world.ts";

type Output = "label" | "json" | "dot" | "kind" | "location";

/** Adds the command. */
export function addQueryCommand(program: Command): void {
  const outputs: readonly Output[] = ["label", "json", "dot", "kind", "location"];
  program
    .command("query")
    .argument("<expression>", "such as 'rdeps(//lib:util)' or 'tests(//...)'")
    .description("Print the targets that an expression stands for.")
    .addOption(
      program
        .createOption("--output <form>", "what to print of each")
        .choices(outputs)
        .default("label"),
    )
    .action((expression: string, flags: { readonly output: Output }) => {
      return query(expression, flags.output);
    });
}

async function query(expression: string, output: Output): Promise<void> {
  const { answerQuery } = await import("../../src/workspace/query-world.ts");
  const { openWorkspace } = await import("../../src/workspace/workspace.ts");
  const { sourceFiles } = await import("../../src/workspace/source-files.ts");
  const { makersOf } = await import("../../src/rules/rule.ts");
  const { ruleFor } = await import("../../src/rules/languages.ts");
  const workspace = openWorkspace(process.cwd(), process.env);
  const openFiles = () => {
    const makerOf = makersOf(workspace.targets(), ruleFor);
    return sourceFiles(workspace.root, (path) => makerOf(path) !== undefined);
  };
  // What targets make is no source; a package read since may make more.
  let [files, makers] = [openFiles(), 0];
  const answer = answerQuery(workspace, expression, (folder, globs) => {
    const count = workspace.targets().length;
    if (count !== makers) [files, makers] = [openFiles(), count];
    return files.matching(folder, globs);
  });
  process.stdout.write(await render(answer, output));
}

async function render({ items, deps }: QueryAnswer, output: Output): Promise<string> {
  const { drawDot, jsonLines } = await import("../graph-output.ts");
  const { typeOf } = await import("../../src/workspace/query.ts");
  const labelsOf = (item: QueryItem) => deps(item).map(({ label }) => label);
  switch (output) {
    case "label":
      return lines(items.map(({ label }) => label));
    case "kind":
      return lines(items.map((item) => `${typeOf(item)} ${item.label}`));
    case "location":
      return lines(items.map((item) => `${placeOf(item)}: ${typeOf(item)} ${item.label}`));
    case "dot":
      return drawDot(
        "targets",
        items.map((item) => ({ id: item.label, deps: labelsOf(item) })),
      );
    case "json": {
      const { attributeText } = await import("../../src/workspace/query-fields.ts");
      return jsonLines(
        items.map((item) => {
          const { label } = item;
          if (item.kind === "file") return { label, type: "file" };
          const { target, package: folder } = item.placed;
          const given = [...target.placeByField.keys()].map((name) => [
            name,
            attributeText(target, name, folder),
          ]);
          const fields: unknown = Object.fromEntries(given);
          const place = target.place;
          return { label, type: target.type, package: folder, place, deps: labelsOf(item), fields };
        }),
      );
    }
  }
}

function placeOf(item: QueryItem): string {
  if (item.kind === "file") return `${item.label}:1:1`;
  const { file, line, column } = item.placed.target.place;
  return `${file}:${line}:${column}`;
}

/** A label is a line, whatever is in a file's name. */
function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text.replaceAll("\n", "\\n")}\n`).join("");
}
