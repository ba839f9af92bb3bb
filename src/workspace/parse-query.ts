// From the text of a query to its parts; docs/features/query.md is its grammar in words.

import { type Place, ProblemError } from "../builderfile/model.ts";
import { hint } from "../builderfile/suggest.ts";
import {
  type FunctionName,
  functionNamed,
  functionNames,
  functionTable,
  operatorByWord,
  type QueryExpression,
  signatureOf,
  type Word,
} from "./query-expression.ts";

interface Token {
  /** `sign` is one character that stands for itself. */
  readonly kind: "word" | "quoted" | "sign" | "end";
  readonly text: string;
  readonly place: Place;
}

/** Bounds of a query. */
const bounds = { charsMax: 1 << 20, nestingMax: 200 };
/** Names the place of a problem, where a Builderfile would be named. */
const shownFile = "query";
const tokenPattern =
  /\s+|"([^"]*)"|'([^']*)'|([\w$@/:.*~%\u0080-\uFFFF][\w$@/:.*~%\u0080-\uFFFF-]*)|([-+&^(),=])/y;

/** Parses a query. Throws ProblemError with the place of what is wrong. */
export function parseQuery(text: string): QueryExpression {
  const parser = new QueryParser(tokensOf(text));
  return parser.whole();
}

function tokensOf(text: string): Token[] {
  let [line, lineStart] = [1, 0];
  const placeAt = (at: number): Place => ({ file: shownFile, line, column: at - lineStart + 1 });
  if (text.length > bounds.charsMax) {
    throw new ProblemError(placeAt(0), `It has over ${bounds.charsMax} characters. Ask for less.`);
  }
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    tokenPattern.lastIndex = at;
    const match = tokenPattern.exec(text);
    const place = placeAt(at);
    if (match === null) {
      const quote = /^["']/.test(text.slice(at, at + 1));
      const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
      const why = quote ? "This quote is never closed." : `${shown} means nothing here; quote it.`;
      throw new ProblemError(place, why);
    }
    const [all, double, single, word, sign] = match;
    const quoted = double ?? single;
    if (quoted !== undefined) tokens.push({ kind: "quoted", text: quoted, place });
    else if (word !== undefined) tokens.push({ kind: "word", text: word, place });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign, place });
    for (let end = all.indexOf("\n"); end >= 0; end = all.indexOf("\n", end + 1)) {
      line += 1;
      lineStart = at + end + 1;
    }
    at += all.length;
  }
  return [...tokens, { kind: "end", text: "", place: placeAt(text.length) }];
}

class QueryParser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): QueryExpression {
    const expression = this.#expression();
    const { kind, text, place } = this.#next();
    if (kind === "end") return expression;
    const words = [...operatorByWord.keys(), ...functionNames];
    const near = kind === "word" ? hint(text, words) : "";
    throw new ProblemError(
      place,
      `${JSON.stringify(text)} follows a whole query. Put +, - or & before it.${near}`,
    );
  }

  #expression(): QueryExpression {
    const { place } = this.#peek();
    this.#depth += 1;
    if (this.#depth > bounds.nestingMax) {
      throw new ProblemError(place, `It is nested over ${bounds.nestingMax} deep. Use let.`);
    }
    const first = this.#one();
    const rest = [];
    for (let operator = this.#operator(); operator !== undefined; operator = this.#operator()) {
      this.#next();
      rest.push({ operator, right: this.#one() });
    }
    this.#depth -= 1;
    return rest.length === 0 ? first : { kind: "operation", first, rest, place };
  }

  #operator() {
    const { kind, text } = this.#peek();
    return kind === "quoted" ? undefined : operatorByWord.get(text);
  }

  #one(): QueryExpression {
    const token = this.#next();
    const { kind, text, place } = token;
    if (kind === "quoted") return { kind: "word", text, place };
    if (text === "(") {
      const inner = this.#expression();
      this.#want(")", place);
      return inner;
    }
    if (kind !== "word" || operatorByWord.has(text) || text === "in") {
      const shown = kind === "end" ? "The query ends" : `${JSON.stringify(text)} stands`;
      throw new ProblemError(place, `${shown} where a target pattern or a function is wanted.`);
    }
    if (text === "let") return this.#let(place);
    if (text.startsWith("$")) return { kind: "variable", name: text.slice(1), place };
    if (this.#peek().text !== "(" || this.#peek().kind !== "sign") {
      return { kind: "word", text, place };
    }
    return text === "set" ? this.#set(place) : this.#call(token);
  }

  #let(place: Place): QueryExpression {
    const name = this.#next();
    if (name.kind !== "word" || !/^[A-Za-z_]\w*$/.test(name.text)) {
      throw new ProblemError(name.place, "let wants a name, as in let x = //lib:all in deps($x).");
    }
    this.#want("=", place);
    const value = this.#expression();
    const { kind, text, place: found } = this.#next();
    if (kind !== "word" || text !== "in") {
      throw new ProblemError(
        found,
        `let ${name.text} wants an "in" here, and what it is used for.`,
      );
    }
    return { kind: "let", name: name.text, value, body: this.#expression(), place };
  }

  #set(place: Place): QueryExpression {
    this.#want("(", place);
    const words: Word[] = [];
    for (let next = this.#next(); next.text !== ")" || next.kind !== "sign"; next = this.#next()) {
      if (next.kind !== "word" && next.kind !== "quoted") {
        throw new ProblemError(next.place, "set wants target patterns, blanks between, and a ).");
      }
      words.push({ kind: "word", text: next.text, place: next.place });
    }
    return { kind: "set", words, place };
  }

  #call({ text, place }: Token): QueryExpression {
    const name = functionNamed(text);
    if (name === undefined) {
      const near = hint(text, [...functionNames, "set"]);
      const all = [...functionNames, "set"].join(", ");
      throw new ProblemError(place, `There is no function ${text}.${near} There are ${all}.`);
    }
    this.#want("(", place);
    const args = [this.#expression()];
    while (this.#peek().text === "," && this.#peek().kind === "sign") {
      this.#next();
      args.push(this.#expression());
    }
    this.#want(")", place);
    if (signatureOf(name, args) === undefined) {
      throw new ProblemError(place, `${name} is called as ${waysOf(name)}.`);
    }
    return { kind: "call", name, args, place };
  }

  #want(sign: string, opened: Place): void {
    const { kind, text, place } = this.#next();
    if (kind === "sign" && text === sign) return;
    const found = kind === "end" ? "the query ends" : `${JSON.stringify(text)} stands here`;
    throw new ProblemError(
      place,
      `A ${sign} is wanted for what begins in column ${opened.column}, but ${found}.`,
    );
  }

  #peek(): Token {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1);
    if (token === undefined) throw new RangeError("A list of tokens ends with its end.");
    return token;
  }

  #next(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }
}

function waysOf(name: FunctionName): string {
  const words = { set: "SET", regex: "REGEX", field: "FIELD", depth: "NUMBER" };
  const ways = functionTable[name].map(
    (kinds) => `${name}(${kinds.map((kind) => words[kind]).join(", ")})`,
  );
  return ways.join(" or ");
}
