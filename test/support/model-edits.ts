// Random edits of a model workspace: small numbers choose among what is there, so that an edit
// means something in every state and a failing list of edits can be made shorter.

import fc from "fast-check";
import {
  allTargets,
  type ModelFile,
  type ModelState,
  type ModelTarget,
  newFile,
} from "./model-workspace.ts";

/** Edits of the model; each has a function below. */
export const stateEdits = [
  ...["value", "value", "value", "add", "add", "delete", "move", "include", "include", "exclude"],
  ...["executable", "link", "folder", "flags", "linkFlags", "env", "includes", "target", "rename"],
  ...["deps", "sources", "command", "outputs", "cache", "tools"],
] as const;

/** What else happens to a workspace between builds; `model-run.ts` does it. */
export const worldEdits = [
  ...["nothing", "touch", "sameTime", "keep", "switch", "switch", "dropOutput", "editOutput"],
  ...["linkOutput", "modeOutput", "dropState", "cutState", "forget", "race", "wanted", "rewrite"],
] as const;

/** One edit. */
export interface Edit {
  readonly kind: (typeof stateEdits)[number] | (typeof worldEdits)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
  /** Builds at once after the edit, with the clock as it is, instead of long after. */
  readonly hasty: boolean;
}

/** Lists of edits, `most` long. */
export function editLists(most: number): fc.Arbitrary<Edit[]> {
  const number = fc.nat({ max: 997 });
  return fc.array(
    fc.record({
      kind: fc.constantFrom(...stateEdits, ...worldEdits),
      ...{ a: number, b: number, c: number },
      hasty: fc.boolean(),
    }),
    { minLength: 1, maxLength: most, size: "max" },
  );
}

/** A changed state and what was done, for people. */
export interface Edited {
  readonly state: ModelState;
  readonly say: string;
}

const filePaths = [
  ...["src/main.c", "src/two.c", "src/three.c", "low/low.c", "low/more.c", "lib/util.c"],
  ...["src/a.h", "first/a.h", "first/b.h", "first/c.h", "include/a.h", "include/b.h"],
  ...["include/c.h", "include/deep/c.h", "include/deep/d.h", "low/l.h", "low/a.h", "other/o.h"],
  ...["lib/inc/u.h", "lib/inc/a.h", "lib/u.h", "gen/in.txt", "gen/more.txt", "gen/source.txt"],
];

const includeLines = [
  ...['#include "a.h"', '#include "b.h"', "#include <c.h>", '#include "../include/b.h"'],
  ...['#include "deep/../c.h"', '#include "../gen/out.h"', '#include "x/y.h"', '#include "tool.h"'],
  ...['#include "deep/d.h"', '#include "../other/o.h"', '#include "u.h"', '#include "l.h"'],
  '#if 0\n#include "c.h"\n#endif',
  '#ifdef EXTRA\n#include "deep/d.h"\n#endif',
  '#if __has_include("d.h")\n#include "d.h"\n#endif',
];

const flagSets = [[], ["-DEXTRA"], ["-DEXTRA=2", "-O1"], ["-Ilow"], ["-include", "include/b.h"]];
const searchFolders = ["first", "include", "include/deep", "low", "tree", "gen"];
const folderNames = ["first", "include", "include/deep", "other", "low"];
const depPairs: readonly (readonly [string, string])[] = [
  ...([
    ["app", "low"],
    ["app", "gen"],
    ["app", "made"],
    ["app", "tree"],
  ] as const),
  ...([
    ["app", "//lib:util"],
    ["app", "extra"],
    ["low", "gen"],
    ["low", "//lib:util"],
  ] as const),
  ...([
    ["extra", "gen"],
    ["report", "gen"],
    ["util", "tool"],
  ] as const),
];
const commandTexts: Readonly<Record<string, readonly string[]>> = {
  gen: ["cat gen/in.txt > gen/out.h", "cat gen/in.txt gen/more.txt > gen/out.h"],
  made: ["cat gen/source.txt > gen/made.c", "cat gen/source.txt gen/source.txt > gen/made.c"],
  tree: [
    "mkdir -p tree/x\ncat gen/in.txt > tree/x/y.h\ncat gen/in.txt > tree/x/z.txt",
    "mkdir -p tree/x\ncat gen/in.txt > tree/x/y.h",
  ],
};

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % (list.length || 1)];
}

/** The path that an edit of a file is about. */
export function pathOf({ files }: ModelState, { a }: Edit): string {
  return pick([...files.keys()], a) ?? "";
}

/** Applies an edit of the model; undefined where it changes nothing. */
export function editState(state: ModelState, edit: Edit): Edited | undefined {
  const done = editFiles(state, edit) ?? editTargets(state, edit);
  return done;
}

function withFile(state: ModelState, path: string, file: ModelFile | undefined): ModelState {
  const files = new Map(state.files);
  if (file === undefined) files.delete(path);
  else files.set(path, file);
  return { ...state, files };
}

function editFiles(state: ModelState, edit: Edit): Edited | undefined {
  const path = pathOf(state, edit);
  const file = state.files.get(path);
  const to = pick(filePaths, edit.b) ?? "";
  if (edit.kind === "add") {
    const added = newFile(to, 10 + (edit.c % 90));
    return { state: withFile(state, to, added), say: `write ${to} (${added.value})` };
  }
  if (file === undefined) return undefined;
  const change = (part: Partial<ModelFile>, say: string): Edited => {
    const { link: _link, ...plain } = file;
    return { state: withFile(state, path, { ...plain, ...part }), say: `${path}: ${say}` };
  };
  switch (edit.kind) {
    case "value":
      return change({ value: 10 + (edit.c % 90) }, `value ${10 + (edit.c % 90)}`);
    case "delete":
      return { state: withFile(state, path, undefined), say: `delete ${path}` };
    case "move": {
      if (path.split(".").at(-1) !== to.split(".").at(-1) || path === to) return undefined;
      const moved = withFile(withFile(state, path, undefined), to, file);
      return { state: moved, say: `move ${path} to ${to}` };
    }
    case "include": {
      const line = pick(includeLines, edit.b) ?? "";
      return change({ includes: [...file.includes, line] }, `add ${JSON.stringify(line)}`);
    }
    case "exclude":
      return change({ includes: file.includes.slice(1) }, "drop its first include");
    case "executable":
      return change({ executable: !file.executable }, `executable ${!file.executable}`);
    case "link": {
      const target = pick([...state.files.keys()], edit.b) ?? "";
      const same = path.split(".").at(-1) === target.split(".").at(-1);
      if (!same || state.files.get(target)?.link !== undefined || target === path) return undefined;
      const linked = withFile(state, path, { ...file, link: target });
      return { state: linked, say: `${path} becomes a link to ${target}` };
    }
    case "folder":
      return moveFolder(state, edit);
    default:
      return undefined;
  }
}

function moveFolder(state: ModelState, edit: Edit): Edited | undefined {
  const from = pick(folderNames, edit.a) ?? "";
  const to = pick(folderNames, edit.b) ?? "";
  if (from === to || to.startsWith(`${from}/`) || from.startsWith(`${to}/`)) return undefined;
  const files = new Map(
    [...state.files]
      .filter(([path]) => !path.startsWith(`${to}/`))
      .map(([path, file]) => [path.replace(new RegExp(`^${from}/`), `${to}/`), file]),
  );
  return { state: { ...state, files }, say: `move folder ${from} to ${to}` };
}

function editTargets(state: ModelState, edit: Edit): Edited | undefined {
  if (edit.kind === "tools") {
    const tools = { ...state.tools, CC: state.tools["CC"] === "cc" ? "cc -g0" : "cc" };
    return { state: { ...state, tools }, say: `CC is ${tools.CC}` };
  }
  if (edit.kind === "target") return addOrDrop(state, edit);
  const target = pick(state.targets, edit.a);
  if (target === undefined) return undefined;
  const part = changedTarget(target, edit);
  if (part === undefined) return undefined;
  const targets = state.targets.map((one) => (one === target ? { ...one, ...part } : one));
  return {
    state: { ...state, targets },
    say: `//${target.package}:${target.name} ${JSON.stringify(part)}`,
  };
}

function addOrDrop(state: ModelState, edit: Edit): Edited | undefined {
  const one = pick(allTargets, edit.a);
  if (one === undefined || one.name === "util" || one.name === "app") return undefined;
  const names = [one.name, `${one.name}2`];
  const there = state.targets.some(({ name }) => names.includes(name));
  const targets = there
    ? state.targets.filter(({ name }) => !names.includes(name))
    : [...state.targets, one];
  return { state: { ...state, targets }, say: `${there ? "drop" : "add"} target ${one.name}` };
}

function changedTarget(
  target: ModelTarget,
  { kind, b, c }: Edit,
): Partial<ModelTarget> | undefined {
  const { fields, name, type } = target;
  const set = (field: string, values: readonly string[]): Partial<ModelTarget> => ({
    fields: { ...fields, [field]: values },
  });
  const toggled = (field: string, value: string): Partial<ModelTarget> => {
    const values = fields[field] ?? [];
    return set(
      field,
      values.includes(value) ? values.filter((one) => one !== value) : [...values, value],
    );
  };
  const compiled = type !== "custom";
  switch (kind) {
    case "flags":
      return compiled ? set("flags", pick(flagSets, b) ?? []) : undefined;
    case "linkFlags":
      return type === "executable" ? set("link_flags", b % 2 ? [] : ["-lm"]) : undefined;
    case "env":
      return { env: { LEVEL: `${b % 4}` } };
    case "includes": {
      if (!compiled || target.package !== "") return undefined;
      const values = fields["includes"] ?? [];
      if (c % 3 === 0) return set("includes", [...values].reverse());
      return toggled("includes", pick(searchFolders, b) ?? "");
    }
    case "rename":
      if (name === "report") return { name: "report2" };
      return name === "report2" ? { name: "report" } : undefined;
    case "deps": {
      const [, dep] =
        pick(
          depPairs.filter(([from]) => from === name),
          b,
        ) ?? [];
      return dep === undefined ? undefined : toggled("deps", dep);
    }
    case "sources":
      if (name === "app") return toggled("sources", "gen/made.c");
      return name === "low" ? toggled("sources", "src/two.c") : undefined;
    case "command": {
      const command = pick(commandTexts[name] ?? [], b);
      return command === undefined ? undefined : { command };
    }
    case "outputs": {
      const globs = ["tree/*/*.h", "tree/*/*.txt", "tree", "tree/x/*"];
      return name === "tree" ? set("outputs", [pick(globs, b) ?? "tree"]) : undefined;
    }
    case "cache":
      return { cache: !target.cache };
    default:
      return undefined;
  }
}
