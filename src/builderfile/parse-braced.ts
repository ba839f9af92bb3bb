// Syntax B: `target("name") { field: value; … }`.
//
//   file   = { "target" "(" STRING ")" "{" { field } "}" [";"] }
//   field  = NAME ":" value ";" | NAME block
//   value  = scalar | "[" { value "," } "]" | block
//   block  = "{" { NAME ":" value ("," | ";") } "}"

import { lexBraced, type Token } from "./lex-braced.ts";
import {
  builderfileBounds,
  type Problem,
  ProblemError,
  type RawField,
  type RawTarget,
  type RawValue,
} from "./model.ts";

/** Words of the language that this version does not evaluate. */
const unsupported = ["let", "const", "fn", "macro", "if", "for", "import", "repository"];

/** Parses the whole file; what cannot be read is reported and skipped to the next target. */
export function parseBraced(text: string, file: string, problems: Problem[]): RawTarget[] {
  const targets: RawTarget[] = [];
  let parser: BracedParser;
  try {
    parser = new BracedParser(lexBraced(text, file));
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    problems.push(error.problem);
    return targets;
  }
  while (!parser.ended() && problems.length < builderfileBounds.problemsMax) {
    try {
      targets.push(parser.target());
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      problems.push(error.problem);
      parser.skipToTarget();
    }
  }
  return targets;
}

class BracedParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  ended(): boolean {
    return this.#peek().kind === "end";
  }

  skipToTarget(): void {
    do this.#at += 1;
    while (!this.ended() && !(this.#is("target") && this.#tokens[this.#at + 1]?.text === "("));
  }

  target(): RawTarget {
    const start = this.#peek();
    if (unsupported.includes(start.text)) {
      throw new ProblemError(start.place, `"${start.text}" is not supported in this version.`);
    }
    this.#expect("target", 'a target, such as target("app") { … }');
    this.#expect("(", "( after target");
    const name = this.#next();
    if (name.kind !== "string") throw this.#unexpected(name, 'the target\'s name in quotes, "app"');
    this.#expect(")", ") after the name");
    const fields = this.#block(1);
    if (this.#is(";")) this.#at += 1;
    return { name: name.text, place: name.place, fields };
  }

  #block(depth: number): RawField[] {
    const open = this.#expect("{", "{");
    if (depth > builderfileBounds.nestingMax) {
      throw new ProblemError(open.place, "Blocks nest too deep.");
    }
    const fields: RawField[] = [];
    while (!this.#is("}")) {
      fields.push(this.#field(depth));
      if (fields.length > builderfileBounds.listMax) {
        throw new ProblemError(open.place, "The block is too long.");
      }
    }
    this.#at += 1;
    return fields;
  }

  #field(depth: number): RawField {
    const name = this.#next();
    if (name.kind !== "word" && name.kind !== "string") throw this.#unexpected(name, "a field");
    if (name.kind === "word" && unsupported.includes(name.text)) {
      throw new ProblemError(name.place, `"${name.text}" is not supported in this version.`);
    }
    if (this.#is("{")) {
      const value: RawValue = { kind: "map", fields: this.#block(depth + 1), place: name.place };
      this.#separator();
      return { name: name.text, place: name.place, value };
    }
    this.#expect(":", `: after ${name.text}`);
    const value = this.#value(depth);
    if (!this.#separator() && !this.#is("}")) throw this.#unexpected(this.#peek(), "; or }");
    return { name: name.text, place: name.place, value };
  }

  #separator(): boolean {
    if (!this.#is(";") && !this.#is(",")) return false;
    this.#at += 1;
    return true;
  }

  #value(depth: number): RawValue {
    const token = this.#peek();
    if (token.kind === "mark" && token.text === "{") {
      return { kind: "map", fields: this.#block(depth + 1), place: token.place };
    }
    if (token.kind === "mark" && token.text === "[") return this.#list(depth);
    this.#at += 1;
    if (token.kind === "string") {
      return { kind: "scalar", text: token.text, quoted: true, place: token.place };
    }
    if (token.kind !== "word") throw this.#unexpected(token, "a value");
    // `2 GiB` and `-O2 -Wall` are several words of one value.
    let text = token.text;
    while (this.#peek().kind === "word") text += ` ${this.#next().text}`;
    return { kind: "scalar", text, quoted: false, place: token.place };
  }

  #list(depth: number): RawValue {
    const open = this.#next();
    if (depth > builderfileBounds.nestingMax) {
      throw new ProblemError(open.place, "Lists nest too deep.");
    }
    const items: RawValue[] = [];
    while (!this.#is("]")) {
      if (items.length >= builderfileBounds.listMax) {
        throw new ProblemError(open.place, "The list is too long.");
      }
      items.push(this.#value(depth + 1));
      if (this.#is(",")) this.#at += 1;
      else if (!this.#is("]")) throw this.#unexpected(this.#peek(), ", or ]");
    }
    this.#at += 1;
    return { kind: "list", items, place: open.place };
  }

  #is(text: string): boolean {
    const token = this.#peek();
    return token.kind !== "string" && token.text === text;
  }

  #expect(text: string, wanted: string): Token {
    const token = this.#next();
    if (token.kind === "string" || token.text !== text) throw this.#unexpected(token, wanted);
    return token;
  }

  #unexpected(token: Token, wanted: string): ProblemError {
    const found = token.kind === "end" ? token.text : JSON.stringify(token.text.slice(0, 60));
    return new ProblemError(token.place, `Expected ${wanted} and found ${found}.`);
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)] ?? endToken;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }
}

const endToken: Token = {
  kind: "end",
  text: "end of file",
  place: { file: "", line: 1, column: 1 },
};
