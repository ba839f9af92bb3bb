// A Builderfile, in either syntax, as targets; or everything that is wrong with it.

import { type Field, fieldNames, fieldTable, findField } from "./fields.ts";
import {
  type Builderfile,
  builderfileBounds,
  type Hermetic,
  namesByLanguage,
  type Place,
  type Problem,
  ProblemError,
  type RawField,
  type RawTarget,
  type Target,
  type TargetType,
} from "./model.ts";
import { parseBraced } from "./parse-braced.ts";
import { parseIndented } from "./parse-indented.ts";
import {
  checkPath,
  readDuration,
  readFlag,
  readLabels,
  readNumber,
  readPaths,
  readPriority,
  readSize,
  readText,
  readTextMap,
  readTexts,
  readWords,
} from "./read-values.ts";
import { hint } from "./suggest.ts";

const languages = Object.keys(namesByLanguage) as (keyof typeof namesByLanguage)[];

/** Fields that mean nothing where a command makes the test. */
const ofPrograms = ["sources", "language", "output", "options", "args"];

/** The targets, or at most 20 problems. */
export type ParseResult =
  | { readonly ok: true; readonly value: Builderfile }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Parses bytes from anywhere. Never throws; `file` is only used in places. */
export function parseBuilderfile(bytes: Uint8Array | string, file: string): ParseResult {
  const text = typeof bytes === "string" ? bytes : decodeText(bytes);
  const start: Place = { file, line: 1, column: 1 };
  const refusal = text === undefined ? "It is not valid UTF-8 text." : refuse(text);
  if (text === undefined || refusal !== undefined) {
    return { ok: false, problems: [{ place: start, message: refusal ?? "" }] };
  }
  const problems: Problem[] = [];
  const braced = /^\s*target\s*\(/m.test(text) && !/^target\s+[^(\s]/m.test(text);
  const raw = (braced ? parseBraced : parseIndented)(text, file, problems);
  const targets: Target[] = [];
  const placeByName = new Map<string, Place>();
  for (const target of raw) {
    const earlier = placeByName.get(target.name);
    if (earlier !== undefined) {
      const message = `Target ${target.name} stands already in line ${earlier.line}.`;
      problems.push({ place: target.place, message });
    }
    placeByName.set(target.name, target.place);
    const read = readTarget(target, problems);
    if (read !== undefined) targets.push(read);
  }
  if (raw.length === 0 && problems.length === 0) {
    problems.push({ place: start, message: 'It holds no target. Begin with "target NAME:".' });
  }
  if (problems.length === 0) return { ok: true, value: { file, targets } };
  return { ok: false, problems: problems.slice(0, builderfileBounds.problemsMax) };
}

function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.length > builderfileBounds.bytesMax) return " ".repeat(builderfileBounds.bytesMax + 1);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function refuse(text: string): string | undefined {
  if (text.length > builderfileBounds.bytesMax) {
    return `It is over ${builderfileBounds.bytesMax} bytes long.`;
  }
  if (text.includes("\0")) return "It holds a NUL byte; it is no text file.";
  if (text.trim() === "") return 'It is empty. Begin with "target NAME:".';
  return undefined;
}

/** The fields of a target by name in the table; problems are kept, each field at most once. */
function collectFields(
  fields: readonly RawField[],
  table: readonly Field[],
  prefix: string,
  problems: Problem[],
): Map<string, RawField> {
  const byName = new Map<string, RawField>();
  for (const field of fields) {
    const known = findField(table, field.name);
    if (known === undefined) {
      const near = hint(field.name, fieldNames(table));
      const message = `There is no field ${prefix}${field.name}.${near}`;
      problems.push({ place: field.place, message });
    } else if (byName.has(known.name)) {
      const message = `Field ${prefix}${known.name} is given twice.`;
      problems.push({ place: field.place, message });
    } else {
      byName.set(known.name, field);
    }
  }
  return byName;
}

function readTarget(raw: RawTarget, problems: Problem[]): Target | undefined {
  const before = problems.length;
  if (!/^[\w.@+-]+$/.test(raw.name)) {
    const message = `${JSON.stringify(raw.name)} is no target name: use letters, digits, _ . + -.`;
    problems.push({ place: raw.place, message });
  }
  const fields = collectFields(raw.fields, fieldTable, "", problems);
  const type = readType(raw, fields, problems);
  if (type === undefined) return undefined;
  for (const [name, field] of fields) {
    const known = findField(fieldTable, name);
    const isCommand = fields.has("command");
    const wrong = known !== undefined && !known.types.includes(type);
    const source = type === "test" && isCommand && ofPrograms.includes(name);
    if (wrong || source) {
      const kind = source ? "test with a command" : type;
      problems.push({ place: field.place, message: `${name} means nothing for a ${kind} target.` });
    }
  }
  const reader = new FieldReader(fields, problems);
  const target: Target = {
    name: raw.name,
    place: raw.place,
    type,
    language: readLanguage(reader),
    sources: reader.get("sources", (v) => readPaths(v, "sources", "globs")) ?? [],
    includes: reader.get("includes", (v) => readPaths(v, "includes", "paths")) ?? [],
    flags: reader.get("flags", (v) => readWords(v, "flags")) ?? [],
    linkFlags: reader.get("link_flags", (v) => readWords(v, "link_flags")) ?? [],
    deps: reader.get("deps", (v) => readLabels(v, "deps")) ?? [],
    options: reader.get("options", (v) => readTextMap(v, "options")) ?? {},
    args: reader.get("args", (v) => readWords(v, "args")) ?? [],
    env: reader.get("env", (v) => readTextMap(v, "env")) ?? {},
    output: reader.get("output", (v) => {
      const path = readText(v, "output", "path");
      checkPath(path, v.place);
      return path;
    }),
    inputs: reader.get("inputs", (v) => readPaths(v, "inputs", "globs")) ?? [],
    outputs: reader.get("outputs", (v) => readPaths(v, "outputs", "globs")) ?? [],
    command: reader.get("command", (v) => readText(v, "command", "text")),
    hermetic: readHermetic(fields.get("hermetic"), problems),
    shards: reader.get("shards", (v) => readNumber(v, "shards", "count")) ?? 1,
    flakyRetries:
      reader.get("flaky_retries", (v) => readNumber(v, "flaky_retries", "natural")) ?? 0,
    remote: reader.get("remote", (v) => readFlag(v, "remote")) ?? true,
    cache: reader.get("cache", (v) => readFlag(v, "cache")) ?? true,
    parallelism: reader.get("parallelism", (v) => readNumber(v, "parallelism", "count")),
    priority: reader.get("priority", (v) => readPriority(v, "priority")) ?? 0,
    placeByField: new Map([...fields].map(([name, field]) => [name, field.place])),
  };
  checkNeeds(target, problems);
  return problems.length === before ? target : undefined;
}

function readType(
  raw: RawTarget,
  fields: ReadonlyMap<string, RawField>,
  problems: Problem[],
): TargetType | undefined {
  const field = fields.get("type");
  if (field === undefined) {
    if (fields.has("command")) return "custom";
    const message = `Target ${raw.name} needs a type (executable, library, test) or a command.`;
    problems.push({ place: raw.place, message });
    return undefined;
  }
  const types = ["executable", "library", "test", "custom"] as const;
  const text = field.value.kind === "scalar" ? field.value.text : "";
  const type = types.find((candidate) => candidate === text);
  if (type === undefined) {
    const message = `There is no target type ${JSON.stringify(text)}.${hint(text, types)}`;
    problems.push({ place: field.value.place, message });
  }
  return type;
}

function readLanguage(reader: FieldReader): Target["language"] {
  return reader.get("language", (value) => {
    const text = readTexts(value, "language", "word").join(" ");
    for (const language of languages) {
      if (namesByLanguage[language].some((name) => name === text)) return language;
    }
    const names = languages.flatMap((language) => namesByLanguage[language]);
    const message = `There is no language ${JSON.stringify(text)}.${hint(text, names)}`;
    throw new ProblemError(value.place, `${message} There are ${languages.join(", ")}.`);
  });
}

function checkNeeds(target: Target, problems: Problem[]): void {
  const wants = (what: string) => {
    const message = `Target ${target.name} (${target.type}) needs ${what}.`;
    problems.push({ place: target.place, message });
  };
  if (target.type === "custom" && target.command === undefined) wants("a command");
  if (target.command !== undefined || target.type === "custom") return;
  if (target.sources.length === 0 && !target.placeByField.has("sources")) wants("sources");
}

function readHermetic(field: RawField | undefined, problems: Problem[]): Hermetic {
  const none = { maxMemoryBytes: undefined, maxCpus: undefined, timeoutMs: undefined };
  if (field === undefined) return { ...none, network: false };
  const { value } = field;
  if (value.kind !== "map") {
    if (value.kind === "scalar" && value.text === "true") return { ...none, network: false };
    const message =
      "hermetic wants a block (max_memory, max_cpu, timeout, network) or true. Isolation is turned " +
      "off on the command line, with --sandbox=none, never in a Builderfile.";
    problems.push({ place: value.place, message });
    return { ...none, network: false };
  }
  const table = findField(fieldTable, "hermetic")?.fields ?? [];
  const fields = collectFields(value.fields, table, "hermetic.", problems);
  const reader = new FieldReader(fields, problems);
  return {
    maxMemoryBytes: reader.get("max_memory", (v) => readSize(v, "hermetic.max_memory")),
    maxCpus: reader.get("max_cpu", (v) => readNumber(v, "hermetic.max_cpu", "cores")),
    timeoutMs: reader.get("timeout", (v) => readDuration(v, "hermetic.timeout")),
    network: reader.get("network", (v) => readFlag(v, "hermetic.network")) ?? false,
  };
}

/** Reads fields one by one; a wrong one is reported and reads as absent. */
class FieldReader {
  readonly #fields: ReadonlyMap<string, RawField>;
  readonly #problems: Problem[];

  constructor(fields: ReadonlyMap<string, RawField>, problems: Problem[]) {
    this.#fields = fields;
    this.#problems = problems;
  }

  get<T>(name: string, read: (value: RawField["value"]) => T): T | undefined {
    const field = this.#fields.get(name);
    if (field === undefined) return undefined;
    try {
      return read(field.value);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      this.#problems.push(error.problem);
      return undefined;
    }
  }
}
