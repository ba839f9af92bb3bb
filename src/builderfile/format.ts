// One style for files of the language, in either syntax.

import { formatBraced } from "./format-braced.ts";
import { formatIndented } from "./format-indented.ts";
import type { Problem } from "./model.ts";
import { looksBraced, parseBraced } from "./parse-braced.ts";
import { parseIndented } from "./parse-indented.ts";

/** The text in the one style, or why it cannot be read: what is wrong is not laid out. */
export type Formatted =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Lays out a Builderfile, a Builderspace or an imported file. The result means the same, and laid
 * out again it is itself. Never throws; `file` is used in places and to tell what it is.
 */
export function formatFile(text: string, file: string): Formatted {
  const what = /(^|\/)Builderspace$/.test(file) ? "workspace" : "target";
  const problems: Problem[] = [];
  const isBraced = file.endsWith(".bldr") || looksBraced(text);
  if (isBraced) parseBraced(text, file, problems);
  else parseIndented(text, file, problems, what);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, text: isBraced ? formatBraced(text) : formatIndented(text) };
}
