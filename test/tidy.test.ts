// House rules that a compiler does not know, checked on the tree as it is: layers, package fences,
// sizes, names, purity of the core, dead files, documents and their links.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root })
  .toString()
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const generated = "src/wire/gen/";
const sources = tracked
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith(generated))
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
const production = sources.filter(({ path }) => /^(src|cli|simulations)\//.test(path));

/** Folder → what it may import besides itself. The whole layering of the project. */
const mayImport: Record<string, readonly string[]> = {
  "src/core": [],
  "src/telemetry": ["src/core"],
  "src/wire": ["src/core"],
  "src/cas": ["src/core", "src/telemetry", "src/wire"],
  "src/sandbox": ["src/core", "src/telemetry", "src/wire"],
  "src/cloud": ["src/core", "src/telemetry", "src/wire"],
  "src/builderfile": ["src/core"],
  "src/mesh": ["src/core", "src/telemetry", "src/wire", "src/cas"],
  "src/worker": ["src/core", "src/telemetry", "src/wire", "src/cas", "src/sandbox"],
  "src/ingress": ["src/core", "src/telemetry", "src/wire", "src/cas"],
  "src/workspace": ["src/core", "src/builderfile"],
  "src/rules": ["src/core", "src/builderfile", "src/workspace"],
  "src/build": [
    ...["src/core", "src/telemetry", "src/wire", "src/cas"],
    ...["src/builderfile", "src/workspace", "src/rules"],
  ],
  "src/audit": ["src/core", "src/builderfile", "src/workspace", "src/rules", "src/sandbox"],
  "src/page": ["src/core", "src/telemetry", "src/wire"],
  "src/node": ["src"],
  cli: [
    ...["src/node", "src/build", "src/audit", "src/rules", "src/workspace"],
    ...["src/builderfile", "src/telemetry", "src/core"],
    // Lazily: only `builder simulate` loads them.
    "simulations",
  ],
  simulations: ["src/core"],
};

/** Package → the only folders that may import it. */
const fences: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(@libp2p|@multiformats|libp2p|it-|uint8arraylist)/, ["src/mesh"]],
  [/^@grpc\/grpc-js$/, ["src/ingress", "src/build"]],
  [/^multicast-dns$/, ["src/mesh"]],
  [/^(commander|uqr|log-update)$/, ["cli"]],
  [/^lmdb$/, ["src/cas"]],
  [/^(preact|uplot)(\/|$)/, ["src/page"]],
  [/^(@aws-sdk\/|@kubernetes\/)/, ["src/cloud"]],
  [/^(prom-client$|@opentelemetry\/)/, ["src/telemetry"]],
  [/^node:child_process$/, ["src/sandbox", "src/cloud", "src/node"]],
];

const bannedNames = /(^|[-/])(utils?|helpers?|common|misc|manager|impl|index)(-|\.ts$)/;

function folderOf(path: string): string {
  const parts = path.split("/");
  return parts[0] === "src" ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

function importsOf(text: string): string[] {
  const specifiers = text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...specifiers].map((match) => match[1] ?? "");
}

function resolved(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier));
}

describe("layers", () => {
  test("every folder imports only what lies below it", () => {
    const wrong = production.flatMap(({ path, text }) =>
      importsOf(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => resolved(path, specifier))
        .filter((target) => !allowed(folderOf(path), target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("every package stays behind its fence", () => {
    const wrong = production.flatMap(({ path, text }) =>
      importsOf(text).flatMap((specifier) =>
        fences
          .filter(([name, folders]) => name.test(specifier) && !folders.includes(folderOf(path)))
          .map(() => `${path} imports ${specifier}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  test("the core knows no packages, no clock, no dice, no promises", () => {
    const impure = /\b(Date\.now|new Date|Math\.random|performance\.|async |await |Promise\b)/;
    const wrong = production
      .filter(({ path }) => path.startsWith("src/core/"))
      .filter(
        ({ text }) =>
          impure.test(stripComments(text)) ||
          importsOf(text).some((specifier) => !specifier.startsWith("./")),
      )
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  test("the check itself catches a planted violation", () => {
    expect(allowed("src/core", "src/wire/frame.ts")).toBe(false);
    expect(allowed("src/worker", "src/ingress/execution.ts")).toBe(false);
    expect(allowed("src/node", "src/ingress/execution.ts")).toBe(true);
  });
});

function allowed(folder: string, target: string): boolean {
  const rule = mayImport[folder];
  if (rule === undefined) return false;
  return [folder, ...rule].some((prefix) => target.startsWith(`${prefix}/`)) || inRoot(target);
}

function inRoot(target: string): boolean {
  return target === "package.json";
}

function stripComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
}

describe("sizes and names", () => {
  test("no file is over 400 lines and no line over 100 columns", () => {
    const wrong = sources.flatMap(({ path, text }) => {
      const lines = text.split("\n");
      // Only a text that cannot be broken may make a line longer, and not by much.
      const long = lines.findIndex(
        (line) => line.length > (/["`]/.test(line) && !/^\s*(\/\/|\*)/.test(line) ? 130 : 100),
      );
      return [
        ...(lines.length > 401 ? [`${path} has ${lines.length - 1} lines`] : []),
        ...(long >= 0 ? [`${path}:${long + 1} is ${lines[long]?.length} columns wide`] : []),
      ];
    });
    expect(wrong).toEqual([]);
  });

  test("no function of the product is over 60 lines", () => {
    const wrong = production.flatMap(({ path, text }) =>
      longFunctions(text).map(({ line, length }) => `${path}:${line} has ${length} lines`),
    );
    expect(wrong).toEqual([]);
  });

  test("names say what a thing is", () => {
    expect(tracked.filter((path) => /\.ts$/.test(path) && bannedNames.test(path))).toEqual([]);
  });

  test("every file opens with a comment that says what it is for", () => {
    const wrong = production.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("folders of src are two levels deep", () => {
    const deep = production.filter(({ path }) => /^src\/[^/]+\/[^/]+\//.test(path));
    expect(deep.map(({ path }) => path)).toEqual([]);
  });
});

/**
 * Functions by indentation: from a line that opens one to the closing brace below it. Functions
 * inside another are measured by themselves and not counted to it: a factory of small functions is
 * as readable as a class of small methods.
 */
function longFunctions(text: string): { line: number; length: number }[] {
  const lines = text.split("\n");
  const functions = lines.flatMap((line, index) => {
    const indent = /^ */.exec(line)?.[0] ?? "";
    const declared = /^ *(export )?(async )?(function\*? |(#?\w+\([^)]*\)(: [^=]+)? \{$))/.test(
      line,
    );
    const control = /^ *(\} )?(if|for|while|switch|catch|do|else)\b/.test(line);
    if (control || !(declared || /=> \{$/.test(line))) return [];
    const end = lines.findIndex((next, at) => at > index && next.startsWith(`${indent}}`));
    return end < 0 ? [] : [{ start: index, end }];
  });
  return functions.flatMap(({ start, end }) => {
    const inner = functions.filter((other) => other.start > start && other.end < end);
    const outermost = inner.filter(
      (one) => !inner.some((other) => other.start < one.start && other.end > one.end),
    );
    const nested = outermost.reduce((sum, one) => sum + one.end - one.start + 1, 0);
    const length = end - start + 1 - nested;
    return length > 60 ? [{ line: start + 1, length }] : [];
  });
}

describe("nothing is left over", () => {
  test("every file of the product is imported or is a program", () => {
    const programs =
      /^(cli\/(builder|bldr|worker)\.ts|simulations\/main\.ts|src\/page\/main\.tsx)$/;
    const used = new Set(
      sources.flatMap(({ path, text }) =>
        [...importsOf(text), ...workerPrograms(text)]
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => resolved(path, specifier)),
      ),
    );
    const dead = production.filter(({ path }) => !used.has(path) && !programs.test(path));
    expect(dead.map(({ path }) => path)).toEqual([]);
  });

  test("no test is skipped or focused without the machine's reason", () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith("test/") && path !== "test/tidy.test.ts")
      .filter(({ text }) => /\b(test|it|describe)\.(only|todo|skip)\(/.test(text));
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

function workerPrograms(text: string): string[] {
  return [...text.matchAll(/new URL\("([^"]+\.ts)"/g)].map((match) => match[1] ?? "");
}

describe("documents", () => {
  const documents = tracked
    .filter((path) => path.endsWith(".md"))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

  test("each has exactly one title", () => {
    const wrong = documents.filter(({ text }) => titles(text) !== 1);
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("every relative link leads somewhere", () => {
    const wrong = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(#[^)]*)?\)/g)]
        .map((match) => match[1] ?? "")
        .filter((link) => !existsSync(join(root, dirname(path), link)))
        .map((link) => `${path} links to ${link}`),
    );
    expect(wrong).toEqual([]);
  });

  test("decisions are numbered without gaps of meaning: no number twice", () => {
    const numbers = tracked
      .map((path) => relative("docs/adr", path))
      .filter((name) => /^\d{4}-/.test(name))
      .map((name) => name.slice(0, 4));
    expect(numbers.length).toBe(new Set(numbers).size);
  });
});

function titles(text: string): number {
  const prose = text.replaceAll(/```[\s\S]*?```/g, "");
  return [...prose.matchAll(/^# /gm)].length;
}
