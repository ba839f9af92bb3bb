// What the audit program wrote down of a command, as values. native/audit/record.c is the other
// side.

import { basename } from "node:path";
import { MeshError } from "../core/error.ts";

/** What was done with a file. */
export type AuditOp =
  /** Asked for its existence, kind, time or link text. */
  | "looked"
  | "read"
  /** A folder whose names were asked for. */
  | "listed"
  | "written"
  | "created"
  /** Deleted, or moved away. */
  | "removed"
  /** Mode, owner, times or attributes. */
  | "changed"
  | "executed";

/** One file, as one program used it. */
export interface AuditedFile {
  /** Absolute, without symlinks. Bytes that are no UTF-8 are replaced. */
  readonly path: string;
  readonly ops: ReadonlySet<AuditOp>;
  /** A file of the workspace that had not been laid out; of a folder, that it holds some. */
  readonly undeclared: boolean;
  /** True where such a file could not be copied, so that the command did without. */
  readonly uncopied: boolean;
  readonly isFolder: boolean;
  readonly count: number;
  /** Who did it, for people: `cc1plus`, `python3 generate.py`. */
  readonly program: string;
}

/** One address that a program spoke to, asked for by name, or took for itself. */
export interface AuditedAddress {
  readonly verb: "connect" | "bind" | "lookup";
  /** `10.0.0.1:53`, `[::1]:80`, `unix /path`, `unix @name`, `family N`; `example.com` of a lookup. */
  readonly address: string;
  readonly count: number;
  readonly program: string;
}

/** A call behind which nothing could be followed. */
export interface AuditedBlind {
  readonly call: string;
  readonly count: number;
  readonly program: string;
}

/** Everything that a command and all it started asked for. */
export interface AuditTrace {
  readonly files: readonly AuditedFile[];
  readonly addresses: readonly AuditedAddress[];
  readonly blind: readonly AuditedBlind[];
  /** False where there was more than could be kept. */
  readonly isWhole: boolean;
}

const bits: readonly (readonly [number, AuditOp])[] = [
  [0x01, "looked"],
  [0x02, "read"],
  [0x04, "listed"],
  [0x08, "written"],
  [0x10, "created"],
  [0x20, "removed"],
  [0x40, "changed"],
  [0x80, "executed"],
];
const undeclaredBit = 0x100;
const uncopiedBit = 0x200;
const folderBit = 0x400;

/** Programs that run a file of another language: its name says more than theirs. */
const interpreters = /^(ba|da|k|z|a)?sh$|^(python|perl|ruby|node|java|lua|php|tclsh)[\d.]*$/;

/** Reads a trace. INTERNAL where it is cut off or none at all. */
export function decodeTrace(bytes: Uint8Array): AuditTrace {
  const parts = Buffer.from(bytes).toString("utf8").split("\0");
  if (parts.at(-2) !== "end") throw broken("it has no end");
  const programs: string[] = [];
  const files: AuditedFile[] = [];
  const addresses: AuditedAddress[] = [];
  const blind: AuditedBlind[] = [];
  let isWhole = true;
  for (let at = 0; at < parts.length - 2; at += 1) {
    const part = parts[at] ?? "";
    if (part.startsWith("p ")) {
      at += 1;
      programs.push(programName(part.replace(/^p \d+ /, ""), (parts[at] ?? "").split("\x1f")));
      continue;
    }
    const [, kind, ops, times, by, text = ""] =
      /^([fnho]) ([0-9a-f]+) (\d+) (\d+) ([\s\S]*)$/.exec(part) ?? [];
    if (kind === undefined) throw broken(part.slice(0, 80));
    const base = { count: Number(times), program: programs[Number(by)] ?? "?" };
    if (kind === "f") files.push({ ...base, ...fileOf(text, Number.parseInt(ops ?? "", 16)) });
    else if (kind === "n") addresses.push({ ...base, ...addressOf(text) });
    else if (kind === "h") blind.push({ ...base, call: text });
    else isWhole = false;
  }
  return { files, addresses, blind, isWhole };
}

function fileOf(path: string, mask: number): Omit<AuditedFile, "count" | "program"> {
  return {
    path,
    ops: new Set(bits.filter(([bit]) => (mask & bit) !== 0).map(([, op]) => op)),
    undeclared: (mask & undeclaredBit) !== 0,
    uncopied: (mask & uncopiedBit) !== 0,
    isFolder: (mask & folderBit) !== 0,
  };
}

function addressOf(text: string): Pick<AuditedAddress, "verb" | "address"> {
  const [, word = "", address = ""] = /^(\w+) ([\s\S]*)$/.exec(text) ?? [];
  return { verb: word === "bind" || word === "lookup" ? word : "connect", address };
}

/** The name that a program was called by; with the script that it runs. */
function programName(executable: string, [called = "", ...words]: readonly string[]): string {
  // The tracer itself stands here for the moment before the command starts.
  if (basename(executable) === "builder-audit") return "the command";
  const name = basename(called === "" ? executable : called).slice(0, 60);
  const [first = ""] = words;
  const isScript = interpreters.test(name) && first !== "" && !first.startsWith("-");
  return isScript ? `${name} ${basename(first).slice(0, 60)}` : name;
}

function broken(why: string): MeshError {
  return new MeshError("INTERNAL", `The audit's trace cannot be read (${why}).`);
}
