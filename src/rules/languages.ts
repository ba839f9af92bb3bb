// The languages that targets can be in, and how a target's own is found.

import type { Target } from "../builderfile/model.ts";
import { cppRule } from "./cpp.ts";
import type { Rule, Tools } from "./rule.ts";

const rules: readonly Rule[] = [cppRule];

/** The rule of a target without a command: by its language, else by its sources' endings. */
export function ruleFor({ language, sources }: Target): Rule {
  const named = rules.find(
    ({ languages }) => language !== undefined && languages.includes(language),
  );
  const guessed = rules.find(({ endings }) =>
    sources.some((glob) => endings.includes(glob.slice(glob.lastIndexOf(".") + 1))),
  );
  return named ?? guessed ?? cppRule;
}

/** Every tool of every language: what the environment names, else the default. */
export function toolsFrom(env: Readonly<Record<string, string | undefined>>): Tools {
  const defaults = Object.assign({}, ...rules.map(({ tools }) => tools)) as Tools;
  return Object.fromEntries(
    Object.entries(defaults).map(([variable, usual]) => [variable, env[variable] ?? usual]),
  );
}
