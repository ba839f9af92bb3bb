// A generated tree of 20,000 sources in 400 libraries, and what it costs to see that none changed.
//
// It is truly built, action by action, by a compiler that only copies and without isolation: what
// is measured afterwards does not depend on what made the objects.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seenBuild, settle } from "./build-client.ts";
import type { ClientBench } from "./client.ts";
import { median, type Row } from "./table.ts";
import { timedRun } from "./timed-run.ts";

const sourcesOfLibrary = 50;

/** Generates, builds once, and measures the builds after it. */
export async function* benchTree({ folder, env, quick }: ClientBench): AsyncGenerator<Row> {
  const libraries = quick ? 40 : 400;
  const cwd = join(folder, "tree");
  generate(cwd, libraries);
  const copier = join(folder, "copier");
  writeFileSync(`${copier}.c`, copierSource);
  timedRun("cc", ["-O1", "-static", "-o", copier, `${copier}.c`], { cwd: folder, env });
  const place = { cwd, env: { ...env, CC: copier, AR: copier } };
  const args = ["--sandbox=none", "--store", join(folder, "tree-store")];
  const startMs = performance.now();
  seenBuild(args, place);
  const builtMs = performance.now() - startMs;
  settle();
  for (let at = 0; at < 2; at += 1) seenBuild(args, place);
  const printed = Array.from({ length: 7 }, () => seenBuild(args, place).printedMs);
  yield {
    what: `${(libraries * sourcesOfLibrary).toLocaleString("en")} generated sources, nothing changed`,
    figure: `${median(printed).toFixed(0)} ms`,
    beside: "wanted: 450 ms more than the example",
  };
  yield {
    what: "the same, built for the first time by a compiler that copies",
    figure: `${(builtMs / 1000).toFixed(0)} s`,
    beside: `${((libraries * (sourcesOfLibrary + 1)) / (builtMs / 1000)).toFixed(0)} actions/s`,
  };
  rmSync(cwd, { recursive: true });
}

/** Each library has a header of its own and sees that of the one before it. */
function generate(root: string, libraries: number): void {
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "Builderspace"), "");
  const labels: string[] = [];
  for (let at = 0; at < libraries; at += 1) {
    const name = `lib${at}`;
    const folder = join(root, name);
    mkdirSync(folder);
    labels.push(`//${name}:${name}`);
    const deps = at % 10 === 0 ? "" : `    deps: [//lib${at - 1}:lib${at - 1}]\n`;
    const target = `target ${name}:\n    type: library\n    sources: ["*.c"]\n    includes: [.]\n`;
    writeFileSync(join(folder, "Builderfile"), target + deps);
    writeFileSync(join(folder, `${name}.h`), `int ${name}(int);\n`);
    const below = at % 10 === 0 ? "" : `#include "lib${at - 1}.h"\n`;
    for (let source = 0; source < sourcesOfLibrary; source += 1) {
      const text = `#include "${name}.h"\n${below}int ${name}_${source}(int n) { return n; }\n`;
      writeFileSync(join(folder, `source${source}.c`), text);
    }
  }
  const all = `target all:\n    command: echo done > done.txt\n    outputs: [done.txt]\n`;
  const deps = labels.map((label) => `        - ${label}\n`).join("");
  writeFileSync(join(root, "Builderfile"), `${all}    deps:\n${deps}`);
}

/** Writes its last input to what stands after `-o`; as an archiver, to what stands after `rcsD`. */
const copierSource = `
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  const char *from = argv[argc - 1], *to = argv[2];
  for (int at = 1; at + 1 < argc; ++at) {
    if (strcmp(argv[at], "-o") == 0) to = argv[at + 1];
    if (strcmp(argv[at], "-c") == 0) from = argv[at + 1];
  }
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  if (in == NULL || out == NULL) return 1;
  fprintf(out, "%s\\n", from);
  for (int byte = getc(in); byte != EOF; byte = getc(in)) putc(byte, out);
  return fclose(out) == 0 ? 0 : 1;
}
`;
