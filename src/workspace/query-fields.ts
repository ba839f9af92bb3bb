// The fields of a target as texts, for `attr` and for output as JSON.

import { type Field, fieldTable, findField } from "../builderfile/fields.ts";
import type { Label, Target } from "../builderfile/model.ts";

/** Names that `attr` takes: those of the fields, inner ones with a dot, and aliases. */
export function attributeNames(): string[] {
  return fieldTable.flatMap((row) => [
    ...[row.name, ...row.aliases],
    ...row.fields.flatMap((inner) =>
      [inner.name, ...inner.aliases].map((name) => `${row.name}.${name}`),
    ),
  ]);
}

/** The row of a field's name; of an inner one, such as `hermetic.timeout`, that row. */
export function attributeField(name: string): Field | undefined {
  const [outer = "", inner] = name.split(".");
  const row = findField(fieldTable, outer);
  return inner === undefined || row === undefined ? row : findField(row.fields, inner);
}

/**
 * What a target has for a field: a text, or a list as `[a, b]`. Sizes are in bytes and durations in
 * ms; what is not given and has no default of its own is empty.
 */
export function attributeText(target: Target, name: string, from: string): string {
  const [outer = "", inner] = name.split(".");
  const row = findField(fieldTable, outer);
  if (row === undefined) return "";
  const value = readValue(target, row.name);
  if (inner !== undefined)
    return textOf(readValue(value, findField(row.fields, inner)?.name ?? ""), from);
  if (row.fields.length === 0) return textOf(value, from);
  const pairs = row.fields.map(({ name }) => `${name}=${textOf(readValue(value, name), from)}`);
  return `[${pairs.join(", ")}]`;
}

/** The model names a field as the table does, in its own spelling and with the unit last. */
function readValue(holder: unknown, field: string): unknown {
  if (typeof holder !== "object" || holder === null) return undefined;
  const name = field.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const found = [name, `${name}Bytes`, `${name}Ms`, `${name}s`].find((key) => key in holder);
  return found === undefined ? undefined : Reflect.get(holder, found);
}

function textOf(value: unknown, from: string): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, from)).join(", ")}]`;
  if (isLabel(value)) return `//${value.package ?? from}:${value.name}`;
  if (typeof value !== "object" || value === null) return String(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${key}=${textOf(inner, from)}`);
  return `[${pairs.join(", ")}]`;
}

function isLabel(value: unknown): value is Label {
  return typeof value === "object" && value !== null && "package" in value && "place" in value;
}
