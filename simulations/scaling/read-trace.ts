// Workloads from files: a record of our own mesh, .ninja_log, a Bazel JSON profile, WfFormat, SWF,
// or a build as JSON. Which it is shows in the first characters. Lines that are no action are
// skipped and counted; a file without any action is an error that says what was expected.

import { MeshError } from "../../src/core/error.ts";
import { hashText } from "../../src/core/rng.ts";
import { elementsOf, jsonOf, linesOf, textOf } from "./trace-text.ts";
import { TracedBuilds } from "./traced-builds.ts";
import { actionsMax, type ScalingWorkload, WorkloadWriter } from "./workload.ts";

/** How a file is read. */
export interface TraceOptions {
  /** Actions that clients keep open; undefined: as many as were open at once. */
  readonly parallelism?: number | undefined;
  /** Bound: actions of a workload. */
  readonly actionsMax?: number;
}

/** Longest workflow file in characters; it is read whole. */
const workflowCharsMax = 256 << 20;

const formats =
  "a record of `builder remote record`, a .ninja_log, a Bazel JSON profile (--profile), WfFormat, " +
  "SWF, or JSON with a list of actions";

/** Reads a workload. Throws MeshError: NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT or too much of it. */
export async function readTrace(
  file: string,
  options: TraceOptions = {},
): Promise<ScalingWorkload> {
  const head = await headOf(file);
  const given = { file, max: options.actionsMax ?? actionsMax, parallelism: options.parallelism };
  const text = head.trimStart();
  if (text === "") throw refused(file, "is empty");
  if (text.startsWith("# ninja log")) return readNinjaLog(given);
  if (/^\{[^\n]*"builder-scaling-record"/.test(text)) return readRecord(given);
  if (text.startsWith(";") || /^\s*\d+(\s+-?[\d.]+){10,}/.test(text)) return readSwf(given);
  if (text.startsWith("{") && text.includes('"traceEvents"')) return readBazelProfile(given);
  if (text.startsWith("{") && text.includes('"workflow"')) return readWorkflow(given);
  if (text.startsWith("{") && text.includes('"actions"')) return readBuild(given);
  throw refused(file, "is of no known format");
}

interface Given {
  readonly file: string;
  readonly max: number;
  readonly parallelism: number | undefined;
}

async function headOf(file: string): Promise<string> {
  let head = "";
  for await (const piece of textOf(file)) {
    head += piece;
    if (head.length > 65_536) break;
  }
  return head;
}

function refused(file: string, what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `${file} ${what}. Give ${formats}.`);
}

async function readRecord({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  const builds = new TracedBuilds(file, max);
  let number = 0;
  for await (const line of linesOf(file, textOf(file))) {
    number += 1;
    if (line.trim() === "") continue;
    const row = rowOf(file, number, line);
    if (row["record"] === "head" && numberOf(row["version"]) !== 1) {
      throw new MeshError("INVALID_ARGUMENT", `${file} is of a later version; update Builder.`);
    }
    if (row["record"] !== "action") continue;
    const [atMs, waitMs, runMs] = [row["atMs"], row["waitMs"], row["runMs"]].map(numberOf);
    if (atMs === undefined || waitMs === undefined || runMs === undefined) {
      throw new MeshError("DATA_LOSS", `${file}:${number}: an action without atMs, waitMs, runMs.`);
    }
    const group = numberOf(row["invocation"]) ?? 0;
    builds.add(group, atMs, atMs + waitMs + runMs, runMs, numberOf(row["kind"]) ?? 0);
  }
  return builds.finish(parallelism);
}

/** A line of a .ninja_log. */
interface NinjaLine {
  readonly start: number;
  readonly end: number;
  readonly output: string;
  readonly command: string;
}

async function* ninjaLines(file: string): AsyncGenerator<NinjaLine> {
  for await (const line of linesOf(file, textOf(file))) {
    if (line.startsWith("#")) continue;
    const [startText, endText, , output, command = ""] = line.split("\t");
    const [start, end] = [numberOf(startText), numberOf(endText)];
    if (start === undefined || end === undefined || output === undefined || end < start) continue;
    yield { start, end, output, command };
  }
}

/**
 * Lines are in the order in which actions ended; one that goes back begins another build, which
 * is played after a pause. A log that ninja has compacted has lost that order: it is one build.
 */
async function readNinjaLog({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  let [lines, steps, beforeMs] = [0, 0, 0];
  for await (const { end } of ninjaLines(file)) {
    lines += 1;
    if (end < beforeMs) steps += 1;
    beforeMs = end;
  }
  const isCompacted = steps > 0 && steps * 20 > lines && lines > 40;
  const builds = new TracedBuilds(file, max);
  let [build, shiftMs, last] = [0, 0, ""];
  beforeMs = 0;
  for await (const { start, end, output, command } of ninjaLines(file)) {
    if (end < beforeMs && !isCompacted) {
      build += 1;
      shiftMs += beforeMs + 300_000;
    }
    beforeMs = end;
    // Several outputs of one action are lines one after the other.
    const action = `${start} ${end} ${command}`;
    if (action === last) continue;
    last = action;
    builds.add(build, start + shiftMs, end + shiftMs, end - start, kindOf(extensionOf(output)));
  }
  return builds.finish(parallelism);
}

/** Chrome's trace format: an action is an event of the category `action processing`, in µs. */
async function readBazelProfile({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  const builds = new TracedBuilds(file, max);
  for await (const event of elementsOf(file, textOf(file), "traceEvents")) {
    const row = asRow(event);
    if (row?.["cat"] !== "action processing") continue;
    const [ts, duration] = [numberOf(row["ts"]), numberOf(row["dur"])];
    if (ts === undefined || duration === undefined) continue;
    const { mnemonic } = asRow(row["args"]) ?? {};
    const startMs = ts / 1000;
    builds.add(0, startMs, startMs + duration / 1000, duration / 1000, kindOf(String(mnemonic)));
  }
  return builds.finish(parallelism);
}

/** Jobs of a machine: a build with an action for each processor. */
async function readSwf({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  const builds = new WorkloadWriter(file, max);
  for await (const line of linesOf(file, textOf(file))) {
    if (line.startsWith(";")) continue;
    const [, submitS, , runS, processors = 1, , , , , , , user] = line
      .trim()
      .split(/\s+/)
      .map((word) => numberOf(word));
    if (submitS === undefined || runS === undefined || submitS < 0 || runS <= 0) continue;
    const width = Math.min(65_536, Math.max(1, processors));
    for (let at = 0; at < width; at += 1) builds.action(runS * 1000, (user ?? 0) % 256);
    builds.build(submitS * 1000, parallelism ?? width);
  }
  return builds.finish();
}

/** WfFormat 1.4 (tasks of the workflow) and 1.5 (specification and execution apart). */
async function readWorkflow({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  const workflow = asRow(asRow(await jsonOf(file, workflowCharsMax))?.["workflow"]) ?? {};
  const specified = rowsOf(asRow(workflow["specification"])?.["tasks"] ?? workflow["tasks"]);
  const executed = rowsOf(asRow(workflow["execution"])?.["tasks"]);
  const runSById = new Map<unknown, number>();
  for (const row of [...specified, ...executed]) {
    const runS = numberOf(row["runtimeInSeconds"] ?? row["runtime"]);
    if (runS !== undefined) runSById.set(nameOf(row), runS);
  }
  const writer = new WorkloadWriter(file, max);
  const placeById = new Map<unknown, number>();
  const known = specified.filter((row) => runSById.has(nameOf(row)));
  for (const row of known) {
    const kind = kindOf(String(row["category"] ?? row["program"] ?? ""));
    placeById.set(nameOf(row), writer.action((runSById.get(nameOf(row)) ?? 0) * 1000, kind));
  }
  for (const row of known) {
    const place = placeById.get(nameOf(row)) ?? 0;
    const parents = Array.isArray(row["parents"]) ? row["parents"] : [];
    for (const parent of parents) {
      const awaited = placeById.get(parent);
      if (awaited !== undefined) writer.edge(place, awaited);
    }
  }
  writer.build(0, parallelism ?? Math.max(1, known.length));
  return writer.finish();
}

/** `{"actions": [{"ms": 12, "deps": [0, 3]}, …]}`: a build with its graph, in order. */
async function readBuild({ file, max, parallelism }: Given): Promise<ScalingWorkload> {
  const writer = new WorkloadWriter(file, max);
  for await (const element of elementsOf(file, textOf(file), "actions")) {
    const row = asRow(element) ?? {};
    const ms = numberOf(row["ms"]);
    if (ms === undefined || ms < 0) {
      const which = `action ${writer.actions} has no ms`;
      throw new MeshError("DATA_LOSS", `${file}: ${which}, the time that it ran.`);
    }
    const place = writer.action(ms, kindOf(String(row["kind"] ?? "")));
    for (const dep of Array.isArray(row["deps"]) ? row["deps"] : []) {
      const awaited = numberOf(dep) ?? -1;
      if (!Number.isInteger(awaited) || awaited < 0 || awaited >= place) {
        const which = `action ${place} waits for ${String(dep)}`;
        throw new MeshError("DATA_LOSS", `${file}: ${which}, which is no action before it.`);
      }
      writer.edge(place, awaited);
    }
  }
  writer.build(0, parallelism ?? Math.max(1, writer.actions));
  return writer.finish();
}

type Row = Readonly<Record<string, unknown>>;

function rowOf(file: string, number: number, line: string): Row {
  try {
    const row = asRow(JSON.parse(line));
    if (row !== undefined) return row;
  } catch {
    // Said below.
  }
  const where = `${file}:${number}`;
  throw new MeshError(
    "DATA_LOSS",
    `${where} is no JSON object; the record is damaged. Cut it there.`,
  );
}

function asRow(value: unknown): Row | undefined {
  const isRow = typeof value === "object" && value !== null && !Array.isArray(value);
  return isRow ? Object.fromEntries(Object.entries(value)) : undefined;
}

function rowsOf(value: unknown): Row[] {
  return Array.isArray(value) ? value.flatMap((element): Row[] => rowsWithin(element)) : [];
}

function rowsWithin(element: unknown): Row[] {
  const row = asRow(element);
  return row === undefined ? [] : [row];
}

function nameOf(row: Row): unknown {
  return row["id"] ?? row["name"];
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string" || !/^-?\d+(\.\d+)?$/.test(value)) return undefined;
  return Number(value);
}

function extensionOf(path: string): string {
  return /\.\w+$/.exec(path)?.[0] ?? "";
}

function kindOf(name: string): number {
  return hashText(name) % 256;
}
