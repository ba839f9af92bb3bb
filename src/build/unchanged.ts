// The answer to a build without a change: one small file for each request, read and compared by
// looks before anything else of the program is loaded. Hence this module imports next to nothing.
//
// A record is one line with the format and a checksum of the rest, and one line of JSON. One that
// was cut short, altered or written by another version reads as absent.

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Digest } from "../core/digest.ts";
import { isSettled, type Look, lookAt } from "../workspace/look.ts";
import type { BuildEvent, BuildSummary } from "./build-event.ts";

/** A file or folder the answer depends on, as it was before it was read. */
export interface Seen {
  /** Relative to the workspace, or absolute. */
  readonly path: string;
  readonly look: Look;
  /** SHA-256 of what was read, where the look is too fresh to stand for it. */
  readonly hash?: string;
}

/** A file that is in its place. */
export interface PlacedFile {
  readonly path: string;
  readonly digest: Digest;
  readonly executable: boolean;
  /** Where it was made. */
  readonly remote: boolean;
}

/** A file in its place, as it looked there. */
export type PlacedOutput = PlacedFile & Seen;

/** A finished build: what was asked, what the answer depends on, and the answer. */
export interface BuildRecord {
  /** What was asked, as one text: two requests with the same text want the same. */
  readonly request: string;
  /** Variables the answer depends on; null for one that is not set. */
  readonly env: Readonly<Record<string, string | null>>;
  readonly inputs: readonly Seen[];
  readonly outputs: readonly PlacedOutput[];
  /** When the newest result was stored, Unix ms. */
  readonly storedAtMs: number;
  readonly targets: readonly { readonly label: string; readonly outputs: readonly string[] }[];
  /** The tests that passed. */
  readonly tests: readonly { readonly id: string; readonly target: string }[];
  /** How the answer is shown, for whoever shows it. */
  readonly shown: Shown;
}

/** How a build's events are shown. */
export interface Shown {
  readonly json: boolean;
  /** The node in use, as shown; empty for this machine. */
  readonly node: string;
  readonly color: "auto" | "always" | "never";
  /** Whether telling is all there is to do: not where changes are awaited or a report is wanted. */
  readonly alone: boolean;
}

/** A remembered build whose inputs are as they were. */
export interface RecalledBuild {
  readonly root: string;
  readonly record: BuildRecord;
  /** Outputs that are no longer as they were placed. */
  readonly lost: readonly PlacedOutput[];
}

/** Where the records are, below the workspace. */
export const recordFolder = ".builder/unchanged";

const format = "builder-unchanged 1";
/** Bound: the oldest records of a workspace go. */
const recordsMax = 100;

/**
 * The last build with this request by this environment, if all it depended on is as it was.
 * `folder` is where it was asked, absolute; the workspace is that folder or one above.
 */
export function recallBuild(
  folder: string,
  request: string,
  env: Readonly<Record<string, string | undefined>>,
): RecalledBuild | undefined {
  const name = recordName(request);
  for (let root = folder; ; root = root.slice(0, root.lastIndexOf("/"))) {
    const record = readRecord(`${root}/${recordFolder}/${name}`, request);
    if (record !== undefined) return isCurrent(root, record, env);
    if (root === "") return undefined;
  }
}

function isCurrent(
  root: string,
  record: BuildRecord,
  env: Readonly<Record<string, string | undefined>>,
): RecalledBuild | undefined {
  for (const name in record.env) if (record.env[name] !== (env[name] ?? null)) return undefined;
  for (const seen of record.inputs) if (!isAsSeen(root, seen)) return undefined;
  const lost = record.outputs.filter((output) => !isAsSeen(root, output));
  return { root, record, lost };
}

/** Lets looks that had been too fresh stand for themselves, now that they are found unchanged. */
export function settleBuild({ root, record }: RecalledBuild, nowMs: number): void {
  const { inputs, outputs } = record;
  const fresh = [...inputs, ...outputs].filter(({ hash }) => hash !== undefined);
  if (!fresh.some(({ look }) => isSettled(look, nowMs))) return;
  const settled = <T extends Seen>({ hash, ...rest }: T) =>
    hash === undefined || isSettled(rest.look, nowMs) ? rest : { ...rest, hash };
  keepBuild(root, { ...record, inputs: inputs.map(settled), outputs: outputs.map(settled) });
}

/** A placed file as it looks now; its digest stands for a look that is too fresh. */
export function seenOutput(root: string, placed: PlacedFile, nowMs: number): PlacedOutput {
  const { path, digest, executable, remote } = placed;
  const look = lookAt(`${root}/${path}`);
  const seen = isSettled(look, nowMs) ? { path, look } : { path, look, hash: digest.hash };
  return { ...seen, digest, executable, remote };
}

function isAsSeen(root: string, { path, look, hash }: Seen): boolean {
  const file = path.startsWith("/") ? path : `${root}/${path}`;
  if (lookAt(file) !== look) return false;
  return hash === undefined || hash === hashNow(file);
}

/** The same hash as of what was read. Undefined where nothing can be read now, as of a folder. */
function hashNow(file: string): string | undefined {
  const { createHash } = process.getBuiltinModule("node:crypto");
  try {
    return createHash("sha256").update(readFileSync(file)).digest("hex");
  } catch {
    return undefined;
  }
}

/** Remembers a build; one with no place to be remembered is looked at anew next time. */
export function keepBuild(root: string, record: BuildRecord): void {
  const folder = `${root}/${recordFolder}`;
  const name = recordName(record.request);
  const body = JSON.stringify(record);
  const draft = `${folder}/.${name}.${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
    removeOldest(folder);
    try {
      writeFileSync(draft, `${format} ${checksum(body)}\n${body}`);
      renameSync(draft, `${folder}/${name}`);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  } catch {
    dropBuild(root, record.request);
  }
}

/** Forgets the build of a request. */
export function dropBuild(root: string, request: string): void {
  try {
    rmSync(`${root}/${recordFolder}/${recordName(request)}`, { force: true });
  } catch {
    // What is in the way of its folder is told when the state is saved.
  }
}

function removeOldest(folder: string): void {
  const names = readdirSync(folder);
  if (names.length < recordsMax) return;
  const aged = names.map((name) => {
    const stat = statSync(`${folder}/${name}`, { throwIfNoEntry: false });
    return { name, ms: stat?.mtimeMs ?? 0 };
  });
  aged.sort((a, b) => a.ms - b.ms);
  for (const { name } of aged.slice(0, names.length - recordsMax + 1)) {
    rmSync(`${folder}/${name}`, { force: true });
  }
}

function readRecord(file: string, request: string): BuildRecord | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const head = text.indexOf("\n");
  const body = text.slice(head + 1);
  if (text.slice(0, Math.max(head, 0)) !== `${format} ${checksum(body)}`) return undefined;
  const value: unknown = JSON.parse(body);
  return isRecord(value) && value.request === request ? value : undefined;
}

/** Two passes of FNV-1a over UTF-16 units: against accidents, not against attackers. */
function checksum(text: string): string {
  let one = 0x811c9dc5;
  let two = 0x050c5d1f;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    one = Math.imul(one ^ unit, 0x01000193);
    two = Math.imul(two ^ unit, 0x01000197) ^ (two >>> 15);
  }
  return (one >>> 0).toString(16).padStart(8, "0") + (two >>> 0).toString(16).padStart(8, "0");
}

function recordName(request: string): string {
  return checksum(request);
}

/** The checksum says that this program wrote it; the shape, that it was this version. */
function isRecord(value: unknown): value is BuildRecord {
  if (typeof value !== "object" || value === null) return false;
  const of = (name: string): unknown => Reflect.get(value, name);
  const lists = ["inputs", "outputs", "targets", "tests"].every((name) => Array.isArray(of(name)));
  const objects = ["env", "shown"].every((name) => typeof of(name) === "object" && of(name));
  if (!lists || !objects) return false;
  if (typeof of("request") !== "string" || typeof of("storedAtMs") !== "number") return false;
  const outputs: unknown = of("outputs");
  return Array.isArray(outputs) && outputs.every(isBelow);
}

/** A checkout may bring a record that somebody made up: nothing outside of it is written. */
function isBelow(output: unknown): boolean {
  if (typeof output !== "object" || output === null) return false;
  const path: unknown = Reflect.get(output, "path");
  return typeof path === "string" && !/^\/|(^|\/)\.\.(\/|$)|\0/.test(path);
}

/** Tells an unchanged build as events. */
export function tellUnchanged(
  { storedAtMs, tests, targets }: BuildRecord,
  emit: (event: BuildEvent) => void,
  ms: number,
): BuildSummary {
  for (const { id, target } of tests) {
    emit({
      ...{ kind: "action", id, target, mnemonic: "TestRun", how: "kept", exitCode: 0 },
      ...{ worker: "", isolation: "", ms: 0, storedAtMs, stdout: "", stderr: "", failure: "" },
      ...{ attempt: 1, again: false },
    });
  }
  for (const { label, outputs } of targets) {
    emit({ kind: "target", label, ok: true, cached: true, storedAtMs, outputs });
  }
  const summary = { ok: true, ms, ran: 0, cached: 0, kept: 0, failed: 0, skipped: 0, flaky: 0 };
  emit({ kind: "finished", ...summary });
  return summary;
}
