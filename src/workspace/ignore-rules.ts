// The rules of a `.builderignore` file: what a line means, and which paths it covers. They are
// those of gitignore, so that a `.gitignore` can be copied or linked.

/** One line. Paths are relative to the folder of the file it stands in. */
export interface IgnoreRule {
  /** The line began with `!`: what it covers is seen again. */
  readonly negated: boolean;
  /** The line ended with `/`: it covers folders only. */
  readonly folderOnly: boolean;
  /** Whether it is about whole paths; else about names, at any depth. */
  readonly anchored: boolean;
  readonly parts: readonly Part[];
}

/** `**`, or what one name between slashes may be. */
type Part = typeof anyParts | readonly Token[];
/** `*`, or what one character may be. */
type Token = typeof anyChars | ((char: string) => boolean);

const anyParts = "**";
const anyChars = "*";

const classes: Readonly<Record<string, RegExp>> = {
  alnum: /[\p{L}\p{N}]/u,
  alpha: /\p{L}/u,
  blank: /[ \t]/,
  cntrl: /\p{Cc}/u,
  digit: /[0-9]/,
  graph: /[^\s\p{C}]/u,
  lower: /\p{Ll}/u,
  print: /[^\p{C}]/u,
  punct: /[\p{P}\p{S}]/u,
  space: /\s/,
  upper: /\p{Lu}/u,
  xdigit: /[0-9a-fA-F]/,
};

/** The rules of a file's text. A line that can cover nothing (`[` without `]`) is left out. */
export function parseIgnoreRules(text: string): IgnoreRule[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  return lines.flatMap((line) => parseLine(line) ?? []);
}

/** What the last rule that covers a path says; undefined where none does. */
export function ignoredBy(
  rules: readonly IgnoreRule[],
  path: string,
  isFolder: boolean,
): boolean | undefined {
  const names = path.split("/");
  const chars = [...(names.at(-1) ?? "")];
  const rule = rules.findLast(
    ({ folderOnly, anchored, parts }) =>
      (isFolder || !folderOnly) && (anchored ? coversPath(parts, names) : coversName(parts, chars)),
  );
  return rule === undefined ? undefined : !rule.negated;
}

function parseLine(line: string): IgnoreRule | undefined {
  let text = line.replace(/(?<!\\)((?:\\\\)*)[ ]+$/, "$1");
  if (text === "" || text.startsWith("#")) return undefined;
  const negated = text.startsWith("!");
  if (negated) text = text.slice(1);
  const folderOnly = text.endsWith("/");
  if (folderOnly) text = text.slice(0, -1);
  const anchored = text.includes("/");
  const names = text.replace(/^\//, "").split("/");
  if (names.includes("")) return undefined;
  const parts: Part[] = [];
  for (const name of names) {
    const part = name === "**" && anchored ? anyParts : parseName(name);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  // `a/**` covers what is in `a`, not `a`: one name more, at least.
  if (parts.at(-1) === anyParts) parts.push([anyChars]);
  return { negated, folderOnly, anchored, parts };
}

function parseName(name: string): Token[] | undefined {
  const chars = [...name];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at];
    if (char === "*") {
      tokens.push(anyChars);
    } else if (char === "?") {
      tokens.push(() => true);
    } else if (char === "[") {
      const found = parseClass(chars, at + 1);
      if (found === undefined) return undefined;
      tokens.push(found.accepts);
      at = found.end;
    } else {
      if (char === "\\") at += 1;
      const literal = chars[at];
      if (literal === undefined) return undefined;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
}

/** `[a-z]`, `[!a-z]`, `[[:alpha:]]`, from behind the bracket; `end` is where it closes. */
function parseClass(
  chars: readonly string[],
  start: number,
): { readonly accepts: (char: string) => boolean; readonly end: number } | undefined {
  const negated = chars[start] === "!" || chars[start] === "^";
  const first = negated ? start + 1 : start;
  const accepting: ((char: string) => boolean)[] = [];
  for (let at = first; at < chars.length; at += 1) {
    if (chars[at] === "]" && at > first) {
      const accepts = (char: string) => accepting.some((one) => one(char)) !== negated;
      return { accepts, end: at };
    }
    const named = /^\[:([a-z]+):\]/.exec(chars.slice(at, at + 12).join(""));
    const known = classes[named?.[1] ?? ""];
    if (named !== null) {
      if (known === undefined) return undefined;
      accepting.push((char) => known.test(char));
      at += named[0].length - 1;
      continue;
    }
    if (chars[at] === "\\") at += 1;
    const low = chars[at];
    let high = low;
    if (chars[at + 1] === "-" && chars[at + 2] !== "]") {
      at += chars[at + 2] === "\\" ? 3 : 2;
      high = chars[at];
    }
    const [from, to] = [low?.codePointAt(0), high?.codePointAt(0)];
    if (from === undefined || to === undefined) return undefined;
    accepting.push((char) => {
      const code = char.codePointAt(0) ?? -1;
      return from <= code && code <= to;
    });
  }
  return undefined;
}

function coversPath(parts: readonly Part[], names: readonly string[]): boolean {
  const covers = (part: Part, name: string) => part !== anyParts && coversTokens(part, [...name]);
  return matches<Part, string>(parts, names, (part) => part === anyParts, covers);
}

function coversName(parts: readonly Part[], chars: readonly string[]): boolean {
  const [part] = parts;
  return part !== undefined && part !== anyParts && coversTokens(part, chars);
}

function coversTokens(tokens: readonly Token[], chars: readonly string[]): boolean {
  const covers = (token: Token, char: string) => token !== anyChars && token(char);
  return matches<Token, string>(tokens, chars, (token) => token === anyChars, covers);
}

/**
 * Whether a pattern covers all items, where some of it stands for any number of them. It goes back
 * to the last such only, which is enough and bounds the steps by pattern × items: no line can make
 * it hang.
 */
function matches<P, T>(
  pattern: readonly P[],
  items: readonly T[],
  isAny: (one: P) => boolean,
  covers: (one: P, item: T) => boolean,
): boolean {
  let [at, next, afterAny, resume] = [0, 0, -1, 0];
  while (next < items.length) {
    const one = pattern[at];
    const item = items[next];
    if (one !== undefined && isAny(one)) {
      at += 1;
      afterAny = at;
      resume = next;
    } else if (one !== undefined && item !== undefined && covers(one, item)) {
      at += 1;
      next += 1;
    } else if (afterAny >= 0) {
      at = afterAny;
      resume += 1;
      next = resume;
    } else {
      return false;
    }
  }
  return pattern.slice(at).every(isAny);
}
