// How many columns of a terminal a text takes, and how to make it take fewer. Text from outside is
// made harmless first: names of files may hold anything.

import { printable } from "../src/telemetry/logger.ts";

/** Marks that are drawn on the character before them. */
const zeroWidth = /^[\p{Mn}\p{Me}\u1160-\u11ff]$/u;
/** Pictures (Unicode Technical Standard 51). */
const picture = /^\p{Emoji_Presentation}$/u;
/** First and last of the wide and full-width characters (Unicode Standard Annex 11). */
const wideRanges: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x17000, 0x18cff],
  [0x1b000, 0x1b2ff],
  [0x20000, 0x3fffd],
];
/** Format characters, breaks, halves of pairs; fillers; variation selectors. */
const unseen = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\u115f|\u3164|[\ufe00-\ufe0f]/gu;
const plainAscii = /^[\x20-\x7e]*$/;

/** Columns that a text without control characters takes. */
export function textWidth(text: string): number {
  if (plainAscii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOf(character);
  return width;
}

/**
 * A text as one line for a terminal: control characters are escaped, and so are characters that
 * change direction, join, break lines or are not seen at all.
 */
export function oneLine(text: string): string {
  const safe = printable(text).replaceAll("\t", "\\t");
  if (plainAscii.test(safe)) return safe;
  return safe.replaceAll(unseen, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** Cuts from the middle what does not fit into `columns`: both ends of a path tell something. */
export function cutMiddle(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  if (columns < 2) return columns === 1 ? "…" : "";
  const characters = [...text];
  const head = taken(characters, Math.floor((columns - 1) / 2));
  const tail = taken(characters.toReversed(), columns - 1 - textWidth(head.join("")));
  return `${head.join("")}…${tail.toReversed().join("")}`;
}

/** As many characters from the start as fit, marks of the last one included. */
function taken(characters: readonly string[], columns: number): string[] {
  let left = columns;
  const end = characters.findIndex((character) => {
    left -= widthOf(character);
    return left < 0;
  });
  return characters.slice(0, end < 0 ? characters.length : end);
}

function widthOf(character: string): number {
  if (plainAscii.test(character)) return 1;
  if (zeroWidth.test(character)) return 0;
  const code = character.codePointAt(0) ?? 0;
  const wide = wideRanges.some(([first, last]) => code >= first && code <= last);
  return wide || picture.test(character) ? 2 : 1;
}
