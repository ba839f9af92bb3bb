// A raw target as a target: every field has its value, and they make sense together.

import { fieldTable, findField } from "./fields.ts";
import {
  type Hermetic,
  hermeticDefaults,
  namesByLanguage,
  type Problem,
  ProblemError,
  type RawField,
  type RawTarget,
  type RawValue,
  type Target,
  type TargetType,
  toolchainPattern,
} from "./model.ts";
import { collectFields, FieldReader } from "./read-fields.ts";
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

/** A target of its raw fields; undefined, with problems, where something is wrong. */
export function readTarget(raw: RawTarget, problems: Problem[]): Target | undefined {
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
    outputDir: "bin",
    inputs: reader.get("inputs", (v) => readPaths(v, "inputs", "globs")) ?? [],
    outputs: reader.get("outputs", (v) => readPaths(v, "outputs", "globs")) ?? [],
    command: reader.get("command", (v) => readText(v, "command", "text")),
    hermetic: readHermetic(fields.get("hermetic"), problems),
    toolchain: reader.get("toolchain", readToolchain),
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

/** Names are told by nodes and by errors; what never is one need not be sent to find out. */
function readToolchain(value: RawValue): string {
  const text = readText(value, "toolchain", "toolchain");
  if (toolchainPattern.test(text)) return text;
  const message =
    `There is no toolchain ${JSON.stringify(text.slice(0, 80))}. Take a name from what ` +
    "`builder toolchain` prints, such as cpp-gcc-12-3f2a91c04b7d55aa, or `any`.";
  throw new ProblemError(value.place, message);
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
  if (field === undefined) return hermeticDefaults;
  const { value } = field;
  if (value.kind !== "map") {
    if (value.kind === "scalar" && value.text === "true") return hermeticDefaults;
    const message =
      "hermetic wants a block (such as max_memory, timeout, network) or true. Isolation is turned " +
      "off on the command line, with --sandbox=none, never in a Builderfile.";
    problems.push({ place: value.place, message });
    return hermeticDefaults;
  }
  const table = findField(fieldTable, "hermetic")?.fields ?? [];
  const fields = collectFields(value.fields, table, "hermetic.", problems);
  const reader = new FieldReader(fields, problems);
  const size = (name: string) => reader.get(name, (v) => readSize(v, `hermetic.${name}`));
  const count = (name: string) =>
    reader.get(name, (v) => readNumber(v, `hermetic.${name}`, "count"));
  return {
    maxMemoryBytes: size("max_memory"),
    maxCpus: reader.get("max_cpu", (v) => readNumber(v, "hermetic.max_cpu", "cores")),
    timeoutMs: reader.get("timeout", (v) => readDuration(v, "hermetic.timeout")),
    maxProcesses: count("max_processes"),
    maxOpenFiles: count("max_open_files"),
    maxOutputBytes: size("max_output"),
    maxOutputFiles: count("max_output_files"),
    maxTmpBytes: size("max_tmp"),
    maxTmpFiles: count("max_tmp_files"),
    maxLogBytes: size("max_log"),
    network: reader.get("network", (v) => readFlag(v, "hermetic.network")) ?? false,
  };
}
