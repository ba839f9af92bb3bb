// The languages that targets can be in, and how a target's own is found and checked.

import type { Target } from "../builderfile/model.ts";
import { hint } from "../builderfile/suggest.ts";
import { MeshError } from "../core/error.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { BuildAction } from "./build-action.ts";
import { cppRule } from "./cpp.ts";
import { goRule } from "./go.ts";
import { javaRule } from "./java.ts";
import { javascriptRule } from "./javascript.ts";
import { pythonRule } from "./python.ts";
import type { PlannedTarget, Rule } from "./rule.ts";
import { rustRule } from "./rust.ts";
import { optionError } from "./sources.ts";
import { typescriptRule } from "./typescript.ts";

const rules: readonly Rule[] = [
  ...[cppRule, goRule, javaRule, javascriptRule],
  ...[pythonRule, rustRule, typescriptRule],
];

/** The rule of a target without a command: by its language, else by its sources' endings. */
export function ruleFor({ language, sources }: Target): Rule {
  const named = rules.find(
    ({ languages }) => language !== undefined && languages.includes(language),
  );
  const guessed = rules.find(({ endings }) =>
    sources.some((glob) => endingsOf(glob).some((ending) => endings.includes(ending))),
  );
  return named ?? guessed ?? cppRule;
}

/** What the files of a glob end in: `*.ts` in one thing, `*.{ts,tsx}` in two. */
function endingsOf(glob: string): string[] {
  return glob.slice(glob.lastIndexOf(".") + 1).split(/[{},]/);
}

/** INVALID_ARGUMENT for fields, options and deps that its language has no meaning for. */
export function checkTarget(
  rule: Rule,
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
): void {
  const { placeByField, options } = node.target;
  const [language = ""] = rule.languages;
  for (const name of rule.refuses) {
    const place = placeByField.get(name);
    if (place === undefined) continue;
    const where = `${place.file}:${place.line}:${place.column}: error: `;
    const message = `${name} means nothing to the language ${language}. Remove it.`;
    throw new MeshError("INVALID_ARGUMENT", where + message);
  }
  for (const name of Object.keys(options)) {
    if (rule.options.includes(name)) continue;
    const known = rule.options.length === 0 ? "none" : rule.options.join(", ");
    const message = `${language} has no option ${name}.${hint(name, rule.options)}`;
    throw optionError(node, `${message} Its options: ${known}.`);
  }
  for (const [at, dep] of node.deps.entries()) {
    const used = planned.get(dep.label)?.language;
    if (dep.target.type !== "library" || used === undefined || rule.uses.includes(used)) continue;
    const { file, line, column } = node.target.deps[at]?.place ?? node.target.place;
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${file}:${line}:${column}: error: ${dep.label} is a library of ${used}, which ` +
        `${language} cannot use. Let a custom target turn it into something it can.`,
    );
  }
}

/** What to say of an action that ended because a program was not there; empty for a command's. */
export function missingTool({ mnemonic, argv }: BuildAction): string {
  const rule = rules.find(({ install }) => install.mnemonics.includes(mnemonic));
  if (rule === undefined) return "";
  const tool = argv[0] === "/bin/sh" ? "A tool" : argv[0];
  return `${tool} was not found where the action ran. ${rule.install.remedy}`;
}
