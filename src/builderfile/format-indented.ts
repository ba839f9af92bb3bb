// The indentation syntax, laid out: four spaces for each level, one space behind marks, at most one
// empty line. Text blocks keep what is in them, comments stand by what they are about.

interface Level {
  /** Spaces in the source. */
  indent: number;
  readonly isItem: boolean;
}

interface Layout {
  readonly source: readonly string[];
  readonly lines: string[];
  readonly levels: Level[];
  /** Comments and empty lines that wait for the level of the line below them. */
  waiting: string[];
  at: number;
}

/** The same file in the one style. The text has been parsed: it is known to be right. */
export function formatIndented(text: string): string {
  const source = text.split(/\r?\n/);
  const layout: Layout = { source, lines: [], levels: [], waiting: [], at: 0 };
  for (; layout.at < source.length; layout.at += 1) addLine(layout);
  release(layout, 0);
  while (layout.lines.at(-1) === "") layout.lines.pop();
  return layout.lines.length === 0 ? "" : `${layout.lines.join("\n")}\n`;
}

function addLine(layout: Layout): void {
  const raw = layout.source[layout.at] ?? "";
  const text = raw.trim();
  if (text === "" || text.startsWith("#")) {
    layout.waiting.push(text);
    return;
  }
  const indent = raw.length - raw.trimStart().length;
  const level = levelOf(layout.levels, indent, /^-(\s|$)/.test(text));
  release(layout, level);
  layout.lines.push("    ".repeat(level) + spaced(text));
  if (/:\s+\|(\s+#.*)?$/.test(text) && !text.startsWith("-")) addBlock(layout, indent, level);
}

function release(layout: Layout, level: number): void {
  for (const text of layout.waiting) {
    const isRepeated = text === "" && (layout.lines.at(-1) ?? "") === "";
    if (!isRepeated) layout.lines.push(text === "" ? "" : "    ".repeat(level) + text);
  }
  layout.waiting = [];
}

/** How deep a line is; items of a list are at one level, however they are indented. */
function levelOf(levels: Level[], indent: number, isItem: boolean): number {
  for (let top = levels.at(-1); top !== undefined; top = levels.at(-1)) {
    const above = levels.at(-2)?.indent ?? -1;
    if (top.isItem && isItem && indent > above) {
      top.indent = indent;
      return levels.length - 1;
    }
    if (top.indent === indent) return levels.length - 1;
    if (top.indent < indent) break;
    levels.pop();
  }
  levels.push({ indent, isItem });
  return levels.length - 1;
}

/** One space where spaces mean nothing; a value and a comment stay as they are. */
function spaced(text: string): string {
  const item = /^-\s+(.*)$/.exec(text);
  if (item !== null) return `- ${item[1]}`;
  const header = /^(target|workspace)\s+("[^"]*"|'[^']*'|[^\s:]+)\s*:(\s*)(.*)$/.exec(text);
  if (header !== null) {
    const [, what, name, , rest = ""] = header;
    return `${what} ${name}:${rest === "" ? "" : ` ${rest}`}`;
  }
  const field = /^("[^"]*"|[A-Za-z_][\w.-]*)\s*:(?:\s+(.*))?$/.exec(text);
  if (field === null) return text;
  const [, name, rest = ""] = field;
  return `${name}:${rest === "" ? "" : ` ${rest}`}`;
}

/** The lines of a text block: those deeper than the line that opens it. */
function addBlock(layout: Layout, opener: number, level: number): void {
  const block: string[] = [];
  let indent: number | undefined;
  for (; layout.at + 1 < layout.source.length; layout.at += 1) {
    const raw = layout.source[layout.at + 1] ?? "";
    const own = raw.length - raw.trimStart().length;
    const isBlank = raw.trim() === "";
    if (!isBlank && own <= opener) break;
    if (!isBlank) indent ??= own;
    block.push(raw.slice(Math.min(own, indent ?? own)));
  }
  while (block.at(-1)?.trim() === "") {
    block.pop();
    layout.waiting.push("");
  }
  // The parser leaves out the spaces at the very end.
  const last = block.pop()?.trimEnd() ?? "";
  const prefix = "    ".repeat(level + 1);
  for (const text of [...block, last]) layout.lines.push(text === "" ? "" : prefix + text);
}
