// The protocol between a worker and a compiler that it keeps running, without any I/O: which part
// of a command starts the process and which is said to it, and the messages as bytes
// (proto/builder/work/v1).

import { MeshError } from "../core/error.ts";
import { encodeBytes } from "../wire/encode.ts";
import { WorkRequest, WorkResponse } from "../wire/gen/builder/work/v1/work.ts";

/** How messages are written: length and protobuf, or a line of JSON. */
export type WorkFormat = "proto" | "json";

/** A command in two parts. */
export interface SplitCommand {
  /** Starts the process: all words but the flag files, and `--persistent_worker`. */
  readonly startup: readonly [string, ...string[]];
  /** The flag files as they were written: `@file`, `--flagfile=file`, `-flagfile=file`. */
  readonly flagFiles: readonly string[];
}

/** What a process is asked to do. */
export interface WorkOrder {
  readonly arguments: readonly string[];
  readonly inputs: readonly { readonly path: string; readonly hash: string }[];
}

/** What it answered. */
export interface WorkAnswer {
  readonly exitCode: number;
  readonly output: string;
}

/** Reads an answer as its bytes come. */
export interface AnswerReader {
  /**
   * Takes bytes; the answer once it is whole, else undefined. DATA_LOSS for what is no answer to
   * the one request that was sent, for more bytes than are taken, and for bytes behind the answer.
   */
  push(bytes: Uint8Array): WorkAnswer | undefined;
}

/** The word that tells a compiler to stay and listen. */
const stayFlag = "--persistent_worker";
/** Bound: flag files in flag files. */
const nestingMax = 16;
/** Bound: bytes of all flag files of a request, read as often as they are named. */
const flagBytesMax = 16 << 20;
/** Ten digits of seven bits are more than any length here. */
const lengthBytesMax = 5;

/** Splits a command; undefined where it has no flag file, and so nothing to be said later. */
export function splitCommand(argv: readonly string[]): SplitCommand | undefined {
  const [program, ...words] = argv;
  const flagFiles = words.filter(isFlagFile);
  if (program === undefined || flagFiles.length === 0) return undefined;
  const startup = words.filter((word) => !isFlagFile(word));
  return { startup: [program, ...startup, stayFlag], flagFiles };
}

/**
 * Puts the lines of each `@file` in its place, those of the files that they name, too; `@@word` and
 * the other kind of flag file stay as they are, empty lines go, as Bazel has it. INVALID_ARGUMENT
 * where files name each other without end or hold too much; what `read` throws where there is none.
 */
export function expandFlagFiles(
  flagFiles: readonly string[],
  read: (path: string) => string,
): string[] {
  const found: string[] = [];
  let bytes = 0;
  const expand = (word: string, depth: number): void => {
    if (!word.startsWith("@") || word.startsWith("@@")) return void found.push(word);
    const text = read(word.slice(1));
    bytes += text.length;
    if (depth >= nestingMax || bytes > flagBytesMax) {
      throw new MeshError("INVALID_ARGUMENT", `The flag file ${word} holds or names too much.`);
    }
    for (const line of text.split(/\r?\n/)) if (line !== "") expand(line, depth + 1);
  };
  for (const word of flagFiles) expand(word, 0);
  return found;
}

/** A request as bytes. */
export function encodeOrder(order: WorkOrder, format: WorkFormat): Uint8Array {
  const inputs = order.inputs.map(({ path, hash }) => ({ path, digest: Buffer.from(hash) }));
  if (format === "proto") {
    const request = WorkRequest.fromPartial({ arguments: [...order.arguments], inputs });
    const bytes = encodeBytes(WorkRequest, request);
    return Buffer.concat([encodeLength(bytes.length), bytes]);
  }
  const plain = inputs.map(({ path, digest }) => ({ path, digest: digest.toString("base64") }));
  const text = JSON.stringify({ arguments: order.arguments, inputs: plain, requestId: 0 });
  return Buffer.from(`${text}\n`);
}

/** A reader for one answer of at most `bytesMax`. */
export function createAnswerReader(format: WorkFormat, bytesMax: number): AnswerReader {
  const parts: Uint8Array[] = [];
  let size = 0;
  const cut = format === "proto" ? cutMessage : cutLine;
  // Joined only when as many bytes more came: a dribble does not cost the square of its length.
  let joinAt = 1;
  return {
    push: (bytes) => {
      parts.push(bytes);
      size += bytes.length;
      if (size > bytesMax + lengthBytesMax) throw broken(`more than ${bytesMax} bytes`);
      if (size < joinAt && format === "proto") return undefined;
      const all = Buffer.concat(parts);
      parts.splice(0, parts.length, all);
      const found = cut(all, bytesMax);
      if (typeof found === "number") {
        joinAt = found;
        return undefined;
      }
      return format === "proto" ? readMessage(found) : readLine(found);
    },
  };
}

function isFlagFile(word: string): boolean {
  return /^(@(?!@)|--?flagfile=)./s.test(word);
}

function encodeLength(length: number): Uint8Array {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

/** The message's own bytes, or how many there must be to look again. */
function cutMessage(all: Buffer, bytesMax: number): Buffer | number {
  let length = 0;
  for (const [at, byte] of all.subarray(0, lengthBytesMax).entries()) {
    length += (byte & 0x7f) * 128 ** at;
    if (byte > 0x7f) continue;
    if (length > bytesMax) throw broken(`more than ${bytesMax} bytes`);
    const end = at + 1 + length;
    if (all.length > end) throw broken("bytes behind the answer");
    return all.length === end ? all.subarray(at + 1) : end;
  }
  if (all.length >= lengthBytesMax) throw broken("no length");
  return all.length + 1;
}

function cutLine(all: Buffer): Buffer | number {
  const end = all.indexOf(0x0a);
  if (end < 0) return all.length + 1;
  if (end !== all.length - 1) throw broken("bytes behind the answer");
  return all.subarray(0, end);
}

function readMessage(bytes: Buffer): WorkAnswer {
  let answer: WorkResponse;
  try {
    answer = WorkResponse.decode(bytes);
  } catch {
    throw broken("bytes that are no answer");
  }
  return checked(answer);
}

function readLine(bytes: Buffer): WorkAnswer {
  let read: unknown;
  try {
    read = JSON.parse(bytes.toString());
  } catch {
    throw broken("a line that is no JSON");
  }
  if (typeof read !== "object" || read === null || Array.isArray(read)) {
    throw broken("JSON that is no answer");
  }
  const given: Readonly<Record<string, unknown>> = { ...read };
  const whole = (name: string) => {
    const value = given[name] ?? 0;
    if (typeof value !== "number" || !Number.isInteger(value)) throw broken(`no whole ${name}`);
    return value;
  };
  const { output = "", wasCancelled = false } = given;
  if (typeof output !== "string" || typeof wasCancelled !== "boolean") {
    throw broken("JSON that is no answer");
  }
  const [exitCode, requestId] = [whole("exitCode"), whole("requestId")];
  return checked({ exitCode, output, requestId, wasCancelled });
}

/** Exit codes are those that a process can have. */
function checked({ exitCode, output, requestId, wasCancelled }: WorkResponse): WorkAnswer {
  if (requestId !== 0) throw broken(`request ${requestId}, which was not sent`);
  if (wasCancelled) throw broken("a request that was not cancelled as cancelled");
  if (exitCode < 0 || exitCode > 255) throw broken(`exit code ${exitCode}`);
  return { exitCode, output };
}

function broken(what: string): MeshError {
  return new MeshError("DATA_LOSS", `The persistent worker answered ${what}.`);
}
