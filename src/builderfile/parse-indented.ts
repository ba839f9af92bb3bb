// Syntax A: `target name:` (`workspace name:` in a Builderspace) and indented `field: value`
// lines.
//
//   file  = { "target" NAME ":" INDENT { field } DEDENT }
//   field = NAME ":" ( scalar | "[" … "]" | "|" block | INDENT ( { "-" scalar } | { field } )
// DEDENT )

import type { Problem, RawField, RawTarget, RawValue } from "./model.ts";
import { builderfileBounds, type Place, ProblemError } from "./model.ts";

interface Line {
  readonly number: number;
  readonly indent: number;
  /** Without indent, comment and trailing space. */
  readonly text: string;
}

/** Parses the whole file; what cannot be read is reported and skipped to the next target. */
export function parseIndented(
  text: string,
  file: string,
  problems: Problem[],
  what: "target" | "workspace",
): RawTarget[] {
  const rawLines = text.split(/\r?\n/);
  const parser = new IndentedParser(rawLines, file, what);
  const targets: RawTarget[] = [];
  for (let start = parser.nextTarget(); start !== undefined; start = parser.nextTarget()) {
    try {
      targets.push(parser.target(start));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      problems.push(error.problem);
    }
    if (problems.length >= builderfileBounds.problemsMax) break;
  }
  problems.push(...parser.strays);
  return targets;
}

class IndentedParser {
  readonly strays: Problem[] = [];
  readonly #raw: readonly string[];
  readonly #file: string;
  readonly #what: string;
  #at = 0;

  constructor(raw: readonly string[], file: string, what: "target" | "workspace") {
    this.#raw = raw;
    this.#file = file;
    this.#what = what;
  }

  /** Moves to the next line that begins a target; complains once about what lies before it. */
  nextTarget(): Line | undefined {
    let complained = false;
    for (let line = this.#skip(); line !== undefined; line = this.#skip()) {
      if (line.indent === 0 && this.#header.test(line.text)) return line;
      this.#at += 1;
      if (line.indent > 0 || complained) continue;
      complained = true;
      const control = /^(let|const|fn|macro|if|for|import)\b/.test(line.text);
      const remedy = control ? " Variables, loops and imports are for the syntax with braces." : "";
      const message = `Expected "${this.#what} NAME:" and found ${quote(line.text)}.${remedy}`;
      this.strays.push({ place: this.#place(line), message });
    }
    return undefined;
  }

  get #header(): RegExp {
    return this.#what === "target" ? /^target\b/ : /^workspace\b/;
  }

  target(line: Line): RawTarget {
    this.#at += 1;
    const what = this.#what;
    const match = /^[a-z]+\s+("[^"]*"|'[^']*'|[^\s:]+)\s*:$/.exec(line.text);
    if (match === null) {
      throw this.#wrong(line, `A ${what} begins with "${what} NAME:", not ${quote(line.text)}.`);
    }
    const name = (match[1] ?? "").replace(/^["']|["']$/g, "");
    return { name, place: this.#place(line, what.length + 1), fields: this.#fields(0, 1) };
  }

  #fields(parentIndent: number, depth: number): RawField[] {
    const fields: RawField[] = [];
    const first = this.#peek();
    if (first === undefined || first.indent <= parentIndent) return fields;
    for (let line = this.#peek(); line !== undefined; line = this.#peek()) {
      if (line.indent <= parentIndent) break;
      if (line.indent !== first.indent) {
        throw this.#wrong(
          line,
          `This line is indented by ${line.indent}, its block by ${first.indent}.`,
        );
      }
      fields.push(this.#field(line, depth));
    }
    return fields;
  }

  #field(line: Line, depth: number): RawField {
    if (depth > builderfileBounds.nestingMax) throw this.#wrong(line, "Blocks nest too deep.");
    const match = /^("[^"]*"|[A-Za-z_][\w.-]*)\s*:(?:\s+(.*))?$/.exec(line.text);
    if (match === null) {
      throw this.#wrong(line, `Expected "field: value" and found ${quote(line.text)}.`);
    }
    this.#at += 1;
    const name = (match[1] ?? "").replace(/^"|"$/g, "");
    const rest = (match[2] ?? "").trim();
    const place = this.#place(line);
    const valuePlace = this.#place(line, line.text.length - rest.length);
    if (rest === "|") return { name, place, value: this.#block(line) };
    if (rest !== "") return { name, place, value: this.#inline(rest, valuePlace, line) };
    const next = this.#peek();
    if (next === undefined || next.indent <= line.indent) {
      throw this.#wrong(line, `Field ${name} has no value.`);
    }
    if (!/^-(\s|$)/.test(next.text)) {
      return {
        name,
        place,
        value: { kind: "map", fields: this.#fields(line.indent, depth + 1), place },
      };
    }
    return { name, place, value: { kind: "list", items: this.#items(line.indent), place } };
  }

  #items(parentIndent: number): RawValue[] {
    const items: RawValue[] = [];
    for (let line = this.#peek(); line !== undefined; line = this.#peek()) {
      if (line.indent <= parentIndent) break;
      const match = /^-\s+(.+)$/.exec(line.text);
      if (match === null)
        throw this.#wrong(line, `Expected "- item" and found ${quote(line.text)}.`);
      if (items.length >= builderfileBounds.listMax)
        throw this.#wrong(line, "The list is too long.");
      const text = match[1] ?? "";
      items.push(this.#scalar(text, this.#place(line, line.text.length - text.length)));
      this.#at += 1;
    }
    return items;
  }

  /** `|`: every deeper line as it is, without the first one's indent. */
  #block(opener: Line): RawValue {
    const lines: string[] = [];
    let indent: number | undefined;
    for (; this.#at < this.#raw.length; this.#at += 1) {
      const raw = this.#raw[this.#at] ?? "";
      const own = raw.length - raw.trimStart().length;
      if (raw.trim() !== "" && own <= opener.indent) break;
      if (raw.trim() !== "") indent ??= own;
      lines.push(raw.slice(Math.min(own, indent ?? own)));
    }
    const text = `${lines.join("\n").trimEnd()}\n`;
    if (text.trim() === "") throw this.#wrong(opener, "The text block is empty.");
    return { kind: "scalar", text, place: this.#place(opener) };
  }

  #inline(text: string, place: Place, line: Line): RawValue {
    if (!text.startsWith("[")) return this.#scalar(text, place);
    if (!text.endsWith("]")) throw this.#wrong(line, "An inline list ends with ] on its line.");
    const items = splitList(text.slice(1, -1));
    return { kind: "list", items: items.map((item) => this.#scalar(item, place)), place };
  }

  #scalar(text: string, place: Place): RawValue {
    const quote = /^(["'])/.exec(text)?.[1];
    if (quote === undefined) return { kind: "scalar", text, place };
    if (text.length < 2 || !text.endsWith(quote) || text.slice(1, -1).includes(quote)) {
      throw new ProblemError(place, `The quoted text ${text} does not end with its quote.`);
    }
    return { kind: "scalar", text: text.slice(1, -1), place };
  }

  #peek(): Line | undefined {
    for (; this.#at < this.#raw.length; this.#at += 1) {
      const raw = this.#raw[this.#at] ?? "";
      const text = withoutComment(raw.trimStart()).trimEnd();
      if (text === "") continue;
      const indent = raw.length - raw.trimStart().length;
      const line = { number: this.#at + 1, indent, text };
      if (raw.slice(0, indent).includes("\t")) {
        this.#at += 1;
        throw this.#wrong(line, "Indent with spaces, not tabs.");
      }
      return line;
    }
    return undefined;
  }

  /** Like `#peek`, but keeps a problem and goes on. */
  #skip(): Line | undefined {
    for (;;) {
      try {
        return this.#peek();
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error;
        if (this.strays.length < builderfileBounds.problemsMax) this.strays.push(error.problem);
      }
    }
  }

  #place(line: Line, offset = 0): Place {
    return { file: this.#file, line: line.number, column: line.indent + 1 + offset };
  }

  #wrong(line: Line, message: string): ProblemError {
    return new ProblemError(this.#place(line), message);
  }
}

/** Cuts a comment: a `#` outside quotes, at the start or after a space. */
function withoutComment(text: string): string {
  let open = "";
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (open !== "") {
      if (character === open) open = "";
    } else if ((character === '"' || character === "'") && /[\s:[,-]|^$/.test(text[at - 1] ?? "")) {
      open = character;
    } else if (character === "#" && /\s|^$/.test(text[at - 1] ?? "")) {
      return text.slice(0, at);
    }
  }
  return text;
}

/** Splits `a, "b, c"` at commas outside quotes; a comma may end the list. */
function splitList(text: string): string[] {
  const items = text.match(/"[^"]*"|'[^']*'|[^,]+/g) ?? [];
  return items.map((item) => item.trim()).filter((item) => item !== "");
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
