import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderBuiltinTable } from "../../../src/builderfile/builtins.ts";
import { renderBuilderspaceTable, renderFieldTable } from "../../../src/builderfile/fields.ts";
import { formatFile } from "../../../src/builderfile/format.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { parseBuilderspace } from "../../../src/builderfile/parse-builderspace.ts";
import { parseDuration, parseSize } from "../../../src/builderfile/quantity.ts";
import { suggest } from "../../../src/builderfile/suggest.ts";
import { hostOf } from "../../support/builderfiles.ts";

const handbook = readFileSync(new URL("../../../docs/builderfile.md", import.meta.url), "utf8");

test("the references in docs are the language's own tables", () => {
  for (const table of [renderFieldTable(), renderBuiltinTable(), renderBuilderspaceTable()]) {
    expect(handbook).toContain(table);
  }
});

test("what the handbook shows is right, evaluates and is laid out", () => {
  const host = hostOf({ "src/main.c": "", "core/more.c": "", "net/more.c": "" });
  const fences = [...handbook.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  const blocks = fences.flatMap(([, kind, text = ""]) => (kind === "gitignore" ? [] : [text]));
  const names = blocks.flatMap((text) => {
    if (text.startsWith("workspace")) {
      expect(parseBuilderspace(text, "Builderspace", host)).toMatchObject({ ok: true });
      return [];
    }
    const parsed = parseBuilderfile(text, "Builderfile", host);
    expect(parsed).toMatchObject({ ok: true });
    return parsed.ok ? parsed.value.targets.map(({ name }) => name) : [];
  });
  expect(names).toEqual([
    ...["app", "report", "app", "app-linux", "core", "test-core", "net", "test-net"],
  ]);
  for (const text of blocks.slice(2)) {
    expect(formatFile(text, text.startsWith("workspace") ? "Builderspace" : "B")).toEqual({
      ...{ ok: true, text },
    });
  }
});

test("sizes and durations read as people write them", () => {
  expect(["2GiB", "512 MB", "1.5KiB", "7"].map(parseSize)).toEqual([2 ** 31, 512e6, 1536, 7]);
  expect(["GiB", "-1", "1 PiB", "1e3", ""].map(parseSize)).toEqual(Array(5).fill(undefined));
  expect(["90s", "5m", "250ms", "1h"].map(parseDuration)).toEqual([
    90_000, 300_000, 250, 3_600_000,
  ]);
  expect(["5", "m", "5 weeks"].map(parseDuration)).toEqual(Array(3).fill(undefined));
});

test("a slip of the finger is recognised, another word is not", () => {
  expect(suggest("suorces", ["sources", "outputs"])).toBe("sources");
  expect(suggest("banana", ["sources", "outputs"])).toBeUndefined();
});
