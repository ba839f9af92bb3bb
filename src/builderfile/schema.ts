// A JSON schema (draft 2020-12) of targets and of the workspace, made from the tables of fields,
// for language servers and other tools.

import { builderspaceTable, describeKind, type Field, fieldTable } from "./fields.ts";
import { namesByLanguage, type TargetType, toolchainPattern } from "./model.ts";

/** A schema, or a part of one. */
export type JsonSchema = boolean | { readonly [keyword: string]: JsonValue };
type JsonValue =
  | (string | number | boolean | null)
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

const targetTypes: readonly TargetType[] = ["executable", "library", "test", "custom"];
const text = { type: "string" };
const texts = { anyOf: [text, { type: "array", items: text }] };

/** The schema of one target; `$defs.workspace` is that of a Builderspace. */
export function targetSchema(): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A target of a Builderfile",
    description: "The fields of one target, by name. Names in `deprecated` entries are aliases.",
    ...objectOf(fieldTable, "#"),
    anyOf: [{ required: ["type"] }, { required: ["command"] }],
    allOf: targetTypes.map(meaningless),
    $defs: {
      workspace: {
        title: "The workspace of a Builderspace",
        ...objectOf(builderspaceTable, "#/$defs/workspace"),
      },
    },
  };
}

/** `at` is where the object is in the schema: aliases point to their field. */
function objectOf(table: readonly Field[], at: string): { readonly [name: string]: JsonValue } {
  const properties: Record<string, JsonValue> = {};
  for (const row of table) {
    properties[row.name] = propertyOf(row, at);
    for (const alias of row.aliases) {
      properties[alias] = { $ref: `${at}/properties/${row.name}`, deprecated: true };
    }
  }
  return { type: "object", properties, additionalProperties: false };
}

function propertyOf(row: Field, at: string): JsonValue {
  const shape = shapeOf(row, `${at}/properties/${row.name}`);
  const plain = row.default.replaceAll("`", "");
  return {
    description: `${row.doc} A ${describeKind(row.kind)}${plain === "-" ? "" : `; ${plain} when left out`}.`,
    ...shape,
    "x-kind": row.kind,
    "x-types": row.types,
  };
}

function shapeOf(row: Field, at: string): { readonly [name: string]: JsonValue } {
  switch (row.kind) {
    case "flag":
      return { type: "boolean" };
    case "count":
      return { type: "integer", minimum: 1, maximum: 999_999 };
    case "natural":
      return { type: "integer", minimum: 0, maximum: 999_999 };
    case "cores":
      return { type: "number", exclusiveMinimum: 0, maximum: 999_999 };
    case "size":
      return {
        type: ["string", "integer"],
        pattern: "^\\d+(\\.\\d+)? ?(B|[KMGT]B|[KMGT]iB)?$",
        exclusiveMinimum: 0,
      };
    case "duration":
      return { type: "string", pattern: "^\\d+(\\.\\d+)? ?(ms|s|m|h|d)$" };
    case "globs":
    case "paths":
    case "words":
    case "labels":
      return texts;
    case "texts":
      return { type: "object", additionalProperties: { type: ["string", "number", "boolean"] } };
    case "priority":
      return { anyOf: [{ enum: ["low", "normal", "high", "critical"] }, { type: "integer" }] };
    case "block":
      // No `$ref` of a row in a block points out of it.
      return { anyOf: [{ const: true }, objectOf(row.fields, `${at}/anyOf/1`)] };
    case "word":
      return { enum: row.name === "type" ? targetTypes : Object.values(namesByLanguage).flat() };
    case "toolchain":
      return { type: "string", pattern: toolchainPattern.source };
    case "text":
    case "path":
      return text;
  }
}

/** A target of this type has none of the fields that mean nothing for it. */
function meaningless(type: TargetType): JsonValue {
  const names = fieldTable
    .filter(({ types }) => !types.includes(type))
    .flatMap(({ name, aliases }) => [name, ...aliases]);
  const properties = Object.fromEntries(names.map((name) => [name, false]));
  return {
    if: { properties: { type: { const: type } }, required: ["type"] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON schema; nobody awaits it.
    then: { properties },
  };
}
