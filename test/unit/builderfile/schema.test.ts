import { expect, test } from "vitest";
import { builderspaceTable, fieldNames, fieldTable } from "../../../src/builderfile/fields.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { type JsonSchema, targetSchema } from "../../../src/builderfile/schema.ts";

type Json = unknown;
const root = JSON.parse(JSON.stringify(targetSchema())) as Record<string, Json>;

function isObject(value: Json): value is Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function typeIs(value: Json, type: Json): boolean {
  if (Array.isArray(type)) return type.some((one) => typeIs(value, one));
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return typeof value === type;
}

/** The keywords that the schema uses, each by the letter of its specification. */
const rules: Readonly<
  Record<string, (wanted: Json, value: Json, schema: Record<string, Json>) => boolean>
> = {
  type: (wanted, value) => typeIs(value, wanted),
  enum: (wanted, value) => (wanted as Json[]).includes(value),
  const: (wanted, value) => wanted === value,
  pattern: (wanted, value) => typeof value !== "string" || new RegExp(wanted as string).test(value),
  minimum: (wanted, value) => typeof value !== "number" || value >= (wanted as number),
  maximum: (wanted, value) => typeof value !== "number" || value <= (wanted as number),
  exclusiveMinimum: (wanted, value) => typeof value !== "number" || value > (wanted as number),
  items: (wanted, value) => !Array.isArray(value) || value.every((item) => accepts(wanted, item)),
  required: (wanted, value) =>
    !isObject(value) || (wanted as string[]).every((name) => Object.hasOwn(value, name)),
  properties: (wanted, value) =>
    !isObject(value) ||
    Object.entries(wanted as Record<string, Json>).every(
      ([name, schema]) => !Object.hasOwn(value, name) || accepts(schema, value[name]),
    ),
  additionalProperties: (wanted, value, schema) =>
    !isObject(value) ||
    Object.entries(value).every(
      ([name, item]) =>
        Object.hasOwn((schema["properties"] ?? {}) as object, name) || accepts(wanted, item),
    ),
  anyOf: (wanted, value) => (wanted as Json[]).some((schema) => accepts(schema, value)),
  allOf: (wanted, value) => (wanted as Json[]).every((schema) => accepts(schema, value)),
  if: (wanted, value, schema) => !accepts(wanted, value) || accepts(schema["then"] ?? true, value),
  // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON schema; nobody awaits it.
  then: () => true,
  $ref: (wanted, value) => accepts(resolve(wanted as string), value),
};
const notes = /^(\$schema|\$defs|title|description|deprecated|x-kind|x-types)$/;

function resolve(reference: string): Json {
  return reference
    .split("/")
    .slice(1)
    .reduce<Json>((at, name) => (at as Record<string, Json>)[name], root);
}

function accepts(schema: Json, value: Json): boolean {
  if (typeof schema === "boolean") return schema;
  if (!isObject(schema)) throw new Error(`${JSON.stringify(schema)} is no schema`);
  return Object.entries(schema).every(([keyword, wanted]) => {
    if (notes.test(keyword)) return true;
    const rule = rules[keyword];
    if (rule === undefined) throw new Error(`nobody checks ${keyword}`);
    return rule(wanted, value, schema);
  });
}

/** Every field, in targets of the types that have it. */
const examples: readonly Record<string, Json>[] = [
  {
    ...{ type: "executable", language: "c++", sources: ["a.c"], includes: ["include"] },
    ...{
      flags: "-O2 -Wall",
      link_flags: ["-lm"],
      deps: [":b"],
      env: { A: "b", N: 1 },
      output: "o/a",
    },
    ...{ options: { std: "c17" }, args: ["--x"], remote: false, cache: true, parallelism: 4 },
    ...{
      priority: "high",
      hermetic: { max_memory: "2GiB", max_cpu: 1.5, timeout: "5m", network: true },
    },
  },
  { type: "test", command: "x", inputs: ["a", "b"], outputs: "o", shards: 2, flaky_retries: 0 },
  { command: "x", hermetic: true, toolchain: "any", depends: "a", priority: -5 },
];

function asBraces(value: Json): string {
  if (!isObject(value)) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, item]) => `${name}: ${asBraces(item)};`)
    .join(" ")} }`;
}

function parses(example: Json): boolean {
  return parseBuilderfile(`target("t") ${asBraces(example)}`, "B").ok;
}

test("it knows every field of the tables, by every name", () => {
  const named = (schema: Json) => Object.keys((schema as { properties: object }).properties).sort();
  expect(named(root)).toEqual(fieldNames(fieldTable).sort());
  expect(named(resolve("#/$defs/workspace"))).toEqual(fieldNames(builderspaceTable).sort());
  const used = new Set(examples.flatMap((example) => Object.keys(example)));
  expect(
    fieldTable.filter(({ name, aliases }) => ![name, ...aliases].some((one) => used.has(one))),
  ).toEqual([]);
});

test("targets that the parser takes are valid", () => {
  for (const example of examples) {
    expect(parses(example), asBraces(example)).toBe(true);
    expect(accepts(root, example), asBraces(example)).toBe(true);
  }
  expect(accepts(resolve("#/$defs/workspace"), { env: { A: "b" }, maxJobs: 3 })).toBe(true);
});

test.each<[Record<string, Json>]>([
  [{ sources: ["a.c"] }],
  [{ type: "libary", sources: ["a.c"] }],
  [{ type: "library", sources: ["a.c"], outputs: ["b"] }],
  [{ command: "x", nope: 1 }],
  [{ command: "x", cache: "maybe" }],
  [{ command: "x", parallelism: 0 }],
  [{ type: "test", command: "x", shards: 1.5 }],
  [{ command: "x", hermetic: { max_memory: "lots" } }],
  [{ command: "x", hermetic: { timeout: "5 weeks" } }],
  [{ command: "x", hermetic: false }],
  [{ command: "x", priority: "urgent" }],
  [{ command: "x", env: ["a"] }],
])("what the parser refuses is invalid: %j", (example) => {
  expect(parses(example)).toBe(false);
  expect(accepts(root, example)).toBe(false);
});

test("it is plain JSON", () => {
  const schema: JsonSchema = targetSchema();
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});
