// Trace files as text, a piece at a time, so that a file of any length takes little memory.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { failureOf, MeshError } from "../../src/core/error.ts";

/** Longest line, and longest element of a JSON list, in characters. */
const elementCharsMax = 4 << 20;

/** The text of a file, gzipped or not. */
export async function* textOf(file: string): AsyncGenerator<string> {
  let isGzip: boolean;
  try {
    const handle = await open(file);
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    await handle.close();
    isGzip = buffer[0] === 0x1f && buffer[1] === 0x8b;
  } catch (error) {
    throw new MeshError("NOT_FOUND", `${file} cannot be read: ${failureOf(error).message}`);
  }
  const raw = createReadStream(file);
  const source = isGzip ? raw.pipe(createGunzip()) : raw;
  raw.on("error", (error) => source.destroy(error));
  source.setEncoding("utf8");
  try {
    for await (const piece of source) yield String(piece);
  } catch (error) {
    const why = failureOf(error).message;
    throw new MeshError("DATA_LOSS", `${file} is damaged or cut short (${why}). Copy it again.`);
  }
}

/** The lines of a text, without their ends. */
export async function* linesOf(file: string, text: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of text) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > elementCharsMax) throw tooLong(file);
    for (const line of lines) yield line;
  }
  if (rest !== "") yield rest;
}

/** The elements of the first JSON list under `key`, each parsed; what follows is not read. */
export async function* elementsOf(
  file: string,
  text: AsyncIterable<string>,
  key: string,
): AsyncGenerator<unknown> {
  const scanner = new ElementScanner(file, key);
  for await (const piece of text) {
    yield* scanner.push(piece);
    if (scanner.isDone) return;
  }
  if (!scanner.isDone) {
    throw new MeshError("DATA_LOSS", `${file} ends before its list "${key}" does. Copy it again.`);
  }
}

/** Finds the elements of one list in text that comes in pieces. */
class ElementScanner {
  isDone = false;
  readonly #file: string;
  readonly #begin: RegExp;
  #text = "";
  #isInside = false;
  #at = 0;
  /** Begin of the element, −1 between two. */
  #from = -1;
  #depth = 0;
  #isString = false;

  constructor(file: string, key: string) {
    this.#file = file;
    this.#begin = new RegExp(`"${key}"\\s*:\\s*\\[`);
  }

  *push(piece: string): Generator<unknown> {
    this.#text += piece;
    if (!this.#isInside && !this.#enter()) return;
    for (; this.#at < this.#text.length && !this.isDone; this.#at += 1) {
      const end = this.#step(this.#text.charCodeAt(this.#at));
      if (end) yield this.#element();
    }
    const used = this.#from < 0 ? this.#at : this.#from;
    this.#text = this.#text.slice(used);
    this.#at -= used;
    if (this.#from > 0) this.#from = 0;
    if (this.#text.length > elementCharsMax) throw tooLong(this.#file);
  }

  #enter(): boolean {
    const found = this.#begin.exec(this.#text);
    if (found === null) {
      // The key may lie across two pieces.
      this.#text = this.#text.slice(-200);
      return false;
    }
    this.#isInside = true;
    this.#at = found.index + found[0].length;
    return true;
  }

  /** Whether an element ends with this character. */
  #step(code: number): boolean {
    if (this.#isString) {
      if (code === 0x5c) this.#at += 1;
      else if (code === 0x22) this.#isString = false;
      return false;
    }
    if (code === 0x22) this.#isString = true;
    else if (code === 0x7b || code === 0x5b) {
      if (this.#depth === 0) this.#from = this.#at;
      this.#depth += 1;
    } else if (code === 0x7d || code === 0x5d) {
      if (this.#depth === 0) this.isDone = true;
      else this.#depth -= 1;
      return this.#depth === 0 && !this.isDone;
    }
    return false;
  }

  #element(): unknown {
    const text = this.#text.slice(this.#from, this.#at + 1);
    this.#from = -1;
    return parsed(this.#file, text);
  }
}

/** A whole file as JSON, up to `charsMax` characters. */
export async function jsonOf(file: string, charsMax: number): Promise<unknown> {
  let text = "";
  for await (const piece of textOf(file)) {
    text += piece;
    if (text.length > charsMax) {
      throw new MeshError("RESOURCE_EXHAUSTED", `${file} is over ${charsMax} characters long.`);
    }
  }
  return parsed(file, text);
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const where = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    const why = failureOf(error).message;
    throw new MeshError("DATA_LOSS", `${file} is no JSON at "${where}" (${why}).`);
  }
}

function tooLong(file: string): MeshError {
  const most = `${elementCharsMax >> 20} Mi`;
  return new MeshError("INVALID_ARGUMENT", `${file} has a line over ${most} characters long.`);
}
