// Raw values as what their fields want, each with an error that shows an example.

import { describeKind, type FieldKind } from "./fields.ts";
import { type Label, type Place, ProblemError, type RawValue } from "./model.ts";
import { parseDuration, parseSize } from "./quantity.ts";

const priorityByWord: Readonly<Record<string, number>> = {
  low: 50,
  normal: 0,
  high: -50,
  critical: -100,
};

/** One text. */
export function readText(value: RawValue, name: string, kind: FieldKind): string {
  if (value.kind !== "scalar") throw wrongKind(value, name, kind);
  return value.text;
}

/** `true` or `false`. */
export function readFlag(value: RawValue, name: string): boolean {
  const text = readText(value, name, "flag");
  if (text === "true" || text === "false") return text === "true";
  throw wrongKind(value, name, "flag");
}

/** A number; whole unless `kind` is cores, above 0 unless it is natural. */
export function readNumber(
  value: RawValue,
  name: string,
  kind: "count" | "natural" | "cores",
): number {
  const text = readText(value, name, kind);
  const pattern = kind === "cores" ? /^\d{1,6}(\.\d{1,3})?$/ : /^\d{1,6}$/;
  if (pattern.test(text) && (kind === "natural" || Number(text) > 0)) return Number(text);
  throw wrongKind(value, name, kind);
}

/** Bytes above 0. */
export function readSize(value: RawValue, name: string): number {
  const bytes = parseSize(readText(value, name, "size"));
  if (bytes !== undefined && bytes > 0) return bytes;
  throw wrongKind(value, name, "size");
}

/** Ms above 0. */
export function readDuration(value: RawValue, name: string): number {
  const ms = parseDuration(readText(value, name, "duration"));
  if (ms !== undefined && ms > 0) return ms;
  throw wrongKind(value, name, "duration");
}

/** A priority word or number, as REAPI orders: lower first. */
export function readPriority(value: RawValue, name: string): number {
  const text = readText(value, name, "priority");
  if (Object.hasOwn(priorityByWord, text)) return priorityByWord[text] ?? 0;
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw wrongKind(value, name, "priority");
}

/** A list of texts, or a single one. */
export function readTexts(value: RawValue, name: string, kind: FieldKind): string[] {
  return listOf(value, name, kind).map((item) => readText(item, name, kind));
}

/** A list whose items stay whole; a single unquoted text is split at spaces. */
export function readWords(value: RawValue, name: string): string[] {
  if (value.kind !== "scalar") return readTexts(value, name, "words");
  return value.text.split(/\s+/).filter((word) => word !== "");
}

/** Relative paths or globs below the package. */
export function readPaths(value: RawValue, name: string, kind: FieldKind): string[] {
  return listOf(value, name, kind).map((item) => {
    const text = readText(item, name, kind);
    checkPath(text, item.place);
    return text.replace(/^(\.\/)+/, "").replace(/\/+$/, "") || ".";
  });
}

/** Target references. */
export function readLabels(value: RawValue, name: string): Label[] {
  return listOf(value, name, "labels").map((item) => {
    const text = readText(item, name, "labels");
    const match = /^(?:\/\/([\w.@+/-]*))?:?([\w.@+-]+)$/.exec(text);
    const label = /^\/\/([^:]*):([\w.@+-]+)$/.exec(text);
    if (label !== null) {
      const folder = label[1] ?? "";
      if (folder !== "") checkPath(folder, item.place);
      return { package: folder, name: label[2] ?? "", place: item.place };
    }
    if (match !== null && match[1] === undefined) {
      return { package: undefined, name: match[2] ?? "", place: item.place };
    }
    throw new ProblemError(
      item.place,
      `${JSON.stringify(text)} names no target. Write name, :name or //folder:name.`,
    );
  });
}

/** A map of texts. */
export function readTextMap(value: RawValue, name: string): Record<string, string> {
  if (value.kind !== "map") throw wrongKind(value, name, "texts");
  const texts: Record<string, string> = {};
  for (const field of value.fields) {
    if (!/^[A-Za-z_]\w*$/.test(field.name)) {
      throw new ProblemError(field.place, `${JSON.stringify(field.name)} is no variable's name.`);
    }
    texts[field.name] = readText(field.value, `${name}.${field.name}`, "text");
  }
  return texts;
}

/** A path below the package: no climbing, no absolute path, no NUL. */
export function checkPath(text: string, place: Place): void {
  const why = text.startsWith("/")
    ? "is absolute"
    : text.split("/").includes("..")
      ? "leaves the package with .."
      : /[\0\\]/.test(text)
        ? "holds a backslash or a NUL byte"
        : text === ""
          ? "is empty"
          : undefined;
  if (why === undefined) return;
  throw new ProblemError(place, `The path ${JSON.stringify(text)} ${why}. Write one below here.`);
}

function listOf(value: RawValue, name: string, kind: FieldKind): readonly RawValue[] {
  if (value.kind === "map") throw wrongKind(value, name, kind);
  return value.kind === "list" ? value.items : [value];
}

function wrongKind(value: RawValue, name: string, kind: FieldKind): ProblemError {
  const found =
    value.kind === "scalar" ? `not ${JSON.stringify(value.text)}` : `not a ${value.kind}`;
  return new ProblemError(value.place, `${name} wants a ${describeKind(kind)}, ${found}.`);
}
