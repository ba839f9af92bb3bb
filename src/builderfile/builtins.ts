// The functions that every Builderfile has, in one table: the evaluation and the reference in
// docs/builderfile.md come from here.

import { ask, checkText, type Evaluation, evaluationBounds } from "./evaluation.ts";
import { builderfileBounds, type Place, ProblemError } from "./model.ts";
import { checkPath, withoutSlash } from "./read-values.ts";
import {
  type Callable,
  isCallable,
  isList,
  isMap,
  isSame,
  kindOf,
  textOf,
  type Value,
} from "./values.ts";

/** One function. */
export interface Builtin {
  readonly name: string;
  /** Parameters as the reference shows them; those in brackets may be left out. */
  readonly params: string;
  readonly least: number;
  readonly most: number;
  /** One sentence for the reference. */
  readonly doc: string;
  readonly run: (call: BuiltinCall) => Value;
}

/** One call of one. */
export interface BuiltinCall {
  readonly evaluation: Evaluation;
  readonly place: Place;
  readonly args: readonly Value[];
  readonly name: string;
}

/** Every function, by topic. */
export const builtins: readonly Builtin[] = [
  ...[
    row("upper", "text", "The text in capitals.", (c) => made(c, text(c, 0).toUpperCase())),
    row("lower", "text", "The text in small letters.", (c) => made(c, text(c, 0).toLowerCase())),
    row("trim", "text", "The text without spaces around it.", (c) => made(c, text(c, 0).trim())),
    row("split", "text, separator", "The parts between separators, as a list.", split),
    row("join", "list, separator", "The items as one text.", join),
    row("replace", "text, old, new", "The text with every `old` replaced.", replace),
    row("startsWith", "text, start", "Whether it begins so.", (c) =>
      text(c, 0).startsWith(text(c, 1)),
    ),
    row("endsWith", "text, end", "Whether it ends so.", (c) => text(c, 0).endsWith(text(c, 1))),
    row("contains", "value, part", "Whether a text, list or map has the part.", contains),
    row("len", "value", "Characters of a text, items of a list, entries of a map.", len),
  ],
  ...[
    row("append", "list, item, [item …]", "The list with the items after it.", append),
    row("filter", "list, function", "The items for which the function gives true.", filter),
    row("map", "list, function", "What the function gives for each item.", mapList),
    row("range", "[first], end, [step]", "Numbers from first (0) up to end, without it.", range),
  ],
  ...[
    row("str", "value", "A number or truth value as a text.", (c) =>
      textOf(c.args[0] ?? null, c.place),
    ),
    row("int", "value", "A text or number as a whole number; fractions are cut.", int),
    row("bool", "value", 'The text `"true"` or `"false"` as a truth value.', bool),
  ],
  ...[
    row("glob", "globs, [except]", "Files that match, sorted; `except` takes some out.", glob),
    row("fileExists", "path", "Whether there is such a file.", fileExists),
    row("readFile", "path", "The text of a file; it is an error if there is none.", readFile),
    row("basename", "path", "The last part of a path.", (c) => basename(text(c, 0))),
    row("dirname", "path", "The path without its last part; `.` if that is all.", (c) =>
      dirname(text(c, 0)),
    ),
    row("stripExtension", "path", "The path without what its last point begins.", (c) =>
      text(c, 0).replace(/(?<=[^/])\.[^./]*$/, ""),
    ),
  ],
  ...[
    row("env", "name, [otherwise]", "A variable of the environment; null if it is not set.", env),
    row("platform", "", "The system: `linux`, `darwin` or another.", (c) =>
      made(c, c.evaluation.host.platform),
    ),
    row("arch", "", "The processor: `x64`, `arm64` or another.", (c) =>
      made(c, c.evaluation.host.arch),
    ),
  ],
];

const builtinByName = new Map(builtins.map((builtin) => [builtin.name, builtin]));

/** The function of a name. */
export function findBuiltin(name: string): Builtin | undefined {
  return builtinByName.get(name);
}

/** Every name, for hints. */
export function builtinNames(): string[] {
  return [...builtinByName.keys()];
}

/** Calls one. Throws ProblemError where it does not get what it wants. */
export function callBuiltin(
  { name, least, most, params, run }: Builtin,
  evaluation: Evaluation,
  args: readonly Value[],
  place: Place,
): Value {
  if (args.length < least || args.length > most) {
    throw new ProblemError(
      place,
      `${name} is called with ${args.length}: write ${name}(${params}).`,
    );
  }
  return run({ evaluation, place, args, name });
}

/** The reference table of docs/builderfile.md. */
export function renderBuiltinTable(): string {
  const rows = builtins.map(({ name, params, doc }) => `| \`${name}(${params})\` | ${doc} |`);
  return ["| Function | Gives |", "|---|---|", ...rows, ""].join("\n");
}

function row(name: string, params: string, doc: string, run: Builtin["run"]): Builtin {
  const all = params === "" ? [] : params.split(", ");
  const needed = all.filter((param) => !param.startsWith("["));
  const most = params.includes("…") ? Number.POSITIVE_INFINITY : all.length;
  return { name, params, least: needed.length, most, doc, run };
}

function text({ args, place, name }: BuiltinCall, at: number): string {
  const value = args[at] ?? null;
  if (typeof value === "string") return value;
  throw new ProblemError(place, `${name} wants a text here, not a ${kindOf(value)}.`);
}

function list({ args, place, name }: BuiltinCall): readonly Value[] {
  const value = args[0] ?? null;
  if (isList(value)) return value;
  throw new ProblemError(place, `${name} wants a list, not a ${kindOf(value)}.`);
}

function callable({ args, place, name }: BuiltinCall): Callable {
  const value = args[1] ?? null;
  if (isCallable(value)) return value;
  throw new ProblemError(place, `${name} wants a function, such as |x| x, not a ${kindOf(value)}.`);
}

function wholeNumber({ args, place, name }: BuiltinCall, at: number): number {
  const value = args[at] ?? null;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new ProblemError(place, `${name} wants a whole number, not a ${kindOf(value)}.`);
}

function made({ evaluation, place }: BuiltinCall, value: string): string {
  checkText(evaluation, value.length, place);
  return value;
}

function listed({ evaluation, place }: BuiltinCall, items: readonly Value[]): readonly Value[] {
  checkListLength(evaluation, items.length, place);
  return items;
}

/** Refuses a list that is too long, and counts the work of making it. */
export function checkListLength(evaluation: Evaluation, length: number, place: Place): void {
  if (length > builderfileBounds.listMax) {
    throw new ProblemError(place, `The list has over ${builderfileBounds.listMax} items.`);
  }
  evaluation.spend(place, 1 + length);
}

function split(call: BuiltinCall): Value {
  return listed(call, text(call, 0).split(text(call, 1)));
}

function join(call: BuiltinCall): Value {
  const separator = text(call, 1);
  const parts = list(call).map((item) => textOf(item, call.place));
  const length = parts.reduce((sum, part) => sum + part.length + separator.length, 0);
  checkText(call.evaluation, length, call.place);
  return parts.join(separator);
}

function replace(call: BuiltinCall): Value {
  const [whole, old, fresh] = [text(call, 0), text(call, 1), text(call, 2)];
  if (old === "") throw new ProblemError(call.place, "replace wants something to look for.");
  const parts = whole.split(old);
  checkText(call.evaluation, whole.length + parts.length * fresh.length, call.place);
  return parts.join(fresh);
}

function contains(call: BuiltinCall): Value {
  const [value = null, part = null] = call.args;
  if (isList(value)) {
    const spend = walker(call.evaluation, call.place);
    return value.some((item) => isSame(item, part, spend));
  }
  return isMap(value) ? value.has(text(call, 1)) : text(call, 0).includes(text(call, 1));
}

/** Counts the work of a walk through values, and refuses one that is too deep. */
export function walker(evaluation: Evaluation, place: Place): (depth: number) => void {
  return (depth) => {
    evaluation.spend(place);
    if (depth > builderfileBounds.nestingMax) {
      throw new ProblemError(place, "The value nests too deep.");
    }
  };
}

function len(call: BuiltinCall): Value {
  const [value = null] = call.args;
  if (isList(value)) return value.length;
  return isMap(value) ? value.size : [...text(call, 0)].length;
}

function append(call: BuiltinCall): Value {
  return listed(call, [...list(call), ...call.args.slice(1)]);
}

function filter(call: BuiltinCall): Value {
  const keep = callable(call);
  return list(call).filter((item) => {
    const answer = call.evaluation.call(keep, [item], call.place);
    if (typeof answer === "boolean") return answer;
    const message = `filter wants a function that gives true or false, not a ${kindOf(answer)}.`;
    throw new ProblemError(call.place, message);
  });
}

function mapList(call: BuiltinCall): Value {
  const change = callable(call);
  return list(call).map((item) => call.evaluation.call(change, [item], call.place));
}

function range(call: BuiltinCall): Value {
  const first = call.args.length === 1 ? 0 : wholeNumber(call, 0);
  const end = wholeNumber(call, call.args.length === 1 ? 0 : 1);
  const step = call.args.length === 3 ? wholeNumber(call, 2) : 1;
  if (step === 0) throw new ProblemError(call.place, "A range with step 0 never ends.");
  const length = Math.max(0, Math.ceil((end - first) / step));
  checkListLength(call.evaluation, length, call.place);
  return Array.from({ length }, (_, at) => first + at * step);
}

function int(call: BuiltinCall): Value {
  const [value = null] = call.args;
  if (typeof value === "number") return Math.trunc(value);
  const digits = text(call, 0).trim();
  if (/^[+-]?\d{1,15}$/.test(digits)) return Number(digits);
  throw new ProblemError(call.place, `${JSON.stringify(digits.slice(0, 60))} is no whole number.`);
}

function bool(call: BuiltinCall): Value {
  const [value = null] = call.args;
  if (typeof value === "boolean") return value;
  const word = text(call, 0);
  if (word === "true" || word === "false") return word === "true";
  const message = `bool wants "true" or "false", not ${JSON.stringify(word.slice(0, 60))}.`;
  throw new ProblemError(call.place, message);
}

function glob(call: BuiltinCall): Value {
  const { evaluation, place } = call;
  const found = matching(call, 0);
  const except = new Set(call.args.length > 1 ? matching(call, 1) : []);
  const prefix = evaluation.folder === "" ? "" : `${evaluation.folder}/`;
  const files = found.filter((path) => !except.has(path));
  checkListLength(evaluation, files.length, place);
  return files.map((path) => path.slice(prefix.length));
}

function matching(call: BuiltinCall, at: number): readonly string[] {
  const { evaluation, place, args } = call;
  const value = args[at] ?? null;
  const globs = (isList(value) ? value : [value]).map((_, item) =>
    text({ ...call, args: isList(value) ? value : [value] }, item),
  );
  for (const pattern of globs) {
    checkPath(pattern, place);
    evaluation.spend(place, 100);
  }
  const { files, folders } = ask(place, () => evaluation.host.glob(evaluation.folder, globs));
  for (const path of folders) evaluation.remember({ kind: "folder", path });
  evaluation.spend(place, files.length + folders.length);
  return files;
}

function fileExists(call: BuiltinCall): Value {
  const path = pathOf(call);
  call.evaluation.spend(call.place, 10);
  return ask(call.place, () => call.evaluation.host.fileExists(path));
}

function readFile(call: BuiltinCall): Value {
  const path = pathOf(call);
  const found = ask(call.place, () => call.evaluation.host.readFile(path));
  if (found === undefined) {
    throw new ProblemError(call.place, `There is no file ${path}. Ask with fileExists first.`);
  }
  if (found.length > evaluationBounds.textMax) {
    throw new ProblemError(call.place, `${path} is over ${evaluationBounds.textMax} bytes long.`);
  }
  return made(call, found);
}

/** A file in the folder of the Builderfile, or `//…` from the workspace's; it counts as read. */
function pathOf(call: BuiltinCall): string {
  const written = text(call, 0);
  const { evaluation, place } = call;
  const path = resolvePath(written, evaluation.folder, place);
  evaluation.remember({ kind: "file", path });
  return path;
}

/** `//a/b` from the workspace, anything else from `folder`. Throws ProblemError for others. */
export function resolvePath(written: string, folder: string, place: Place): string {
  const inside = written.startsWith("//") ? written.slice(2) : written.replace(/^(\.\/)+/, "");
  checkPath(inside, place);
  return written.startsWith("//") || folder === "" ? inside : `${folder}/${inside}`;
}

function basename(path: string): string {
  return withoutSlash(path).replace(/^.*\//s, "");
}

function dirname(path: string): string {
  const plain = withoutSlash(path);
  return plain.includes("/") ? plain.slice(0, plain.lastIndexOf("/")) || "/" : ".";
}

function env(call: BuiltinCall): Value {
  const { evaluation, args } = call;
  const name = text(call, 0);
  const value = evaluation.host.variable(name);
  evaluation.remember({ kind: "variable", name, value });
  return value === undefined ? (args[1] ?? null) : made(call, value);
}
