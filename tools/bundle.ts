// Bundles the programs into dist/js, so that they start without reading hundreds of small files.
// `npm ci` runs this; without a bundle, or with one whose sources have changed since, the programs
// run from their sources, which is slower and nothing else.

import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";

const root = resolve(import.meta.dirname, "..");
const folder = join(root, "dist/js");
const programs = ["bldr", "builder", "worker"];

/** Everything that goes into the bundle, with what tells that it has changed. */
function sources(): [path: string, size: number, mtimeMs: number][] {
  const found = ["cli", "src"].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(top, name)),
  );
  return [...found, "package.json", "package-lock.json"].sort().map((path) => {
    const { size, mtimeMs } = statSync(join(root, path));
    return [path, size, mtimeMs];
  });
}

/** What a program starts with: the bundle where that is fresh, else the source. */
function entry(program: string): string {
  return `"use strict";
const { statSync } = require("node:fs");
const root = require("node:path").resolve(__dirname, "../..");
const isFresh = require("./sources.json").every(([path, size, mtimeMs]) => {
  const stat = statSync(root + "/" + path, { throwIfNoEntry: false });
  return stat !== undefined && stat.size === size && stat.mtimeMs === mtimeMs;
});
if (isFresh) require("./${program}-main.cjs");
else import(root + "/cli/${program}.ts");
`;
}

/** The dashboard's page: everything that a browser needs in three files. */
async function bundlePage(): Promise<void> {
  const from = join(root, "src/page");
  const to = join(root, "dist/page");
  const page = await rolldown({ cwd: root, platform: "browser", input: join(from, "main.tsx") });
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  await page.write({ dir: to, format: "es", entryFileNames: "page.js", minify: true });
  copyFileSync(join(from, "index.html"), join(to, "index.html"));
  const charts = readFileSync(join(root, "node_modules/uplot/dist/uPlot.min.css"), "utf8");
  const own = readFileSync(join(from, "page.css"), "utf8");
  writeFileSync(join(to, "page.css"), `${charts}\n${own}`);
}

const seen = sources();
const bundle = await rolldown({
  cwd: root,
  platform: "node",
  input: Object.fromEntries(programs.map((name) => [`${name}-main`, `cli/${name}.ts`])),
  external: (name) => !name.startsWith(".") && !name.startsWith("/"),
});
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await bundle.write({
  dir: folder,
  format: "cjs",
  entryFileNames: "[name].cjs",
  chunkFileNames: "[name]-[hash].cjs",
});
for (const program of programs) writeFileSync(join(folder, `${program}.cjs`), entry(program));
writeFileSync(join(folder, "sources.json"), JSON.stringify(seen));
await bundlePage();
