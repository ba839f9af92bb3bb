// The clouds' clients take most of a second and 100 MiB to load: no program does so at its start.

import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const root = new URL("../../..", import.meta.url).pathname;

/** Packages that a file loads when it is loaded, by what it imports for more than types. */
function loadedBy(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const text = readFileSync(join(root, path), "utf8");
    const imports = text.matchAll(/^(?:import|export) (?!type )(?:[^"';]*? from )?"([^"]+)";/gms);
    for (const [, specifier = ""] of imports) {
      if (!specifier.startsWith(".")) packages.add(specifier);
      else if (specifier.endsWith(".ts")) waiting.push(normalize(join(dirname(path), specifier)));
    }
  }
  return packages;
}

// `builder` loads the command that is meant, and nothing else.
const builder = ["serve", "join", "mesh", "remote", "store"].map((name) => `commands/${name}`);
const programs = [...builder, "commands/build", "bldr", "worker"];

test.each(programs)("%s starts without the clouds' clients", (program) => {
  const packages = loadedBy(`cli/${program}.ts`);
  expect([...packages]).toContain("node:fs");
  expect([...packages].filter((name) => /^(@aws-sdk|@kubernetes)/.test(name))).toEqual([]);
});

test("the provider that is wanted loads its own client", () => {
  expect([...loadedBy("src/cloud/ec2-provider.ts")]).toContain("@aws-sdk/client-ec2");
  expect([...loadedBy("src/cloud/kubernetes-provider.ts")]).toContain("@kubernetes/client-node");
});
