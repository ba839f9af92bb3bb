import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const read = (path: string) => readFileSync(join(root, path), "utf8");

test("every flag of the operations page is in --help, and every flag of --help is on the page", async () => {
  const page = read("docs/operations.md");
  const commands: [string, string[]][] = [
    ["builder", ["serve"]],
    ["builder", ["join"]],
    ...["invite", "members", "revoke", "leave", "info", "doctor"].map(
      (word): [string, string[]] => ["builder", ["mesh", word]],
    ),
    ...[
      ...["status", "watch", "top", "actions", "why", "profile", "logs", "cancel"],
      ...["invocations"],
      ...["scale", "drain", "configure", "decisions", "record"],
    ].map((word): [string, string[]] => ["builder", ["remote", word]]),
    ["builder", ["simulate"]],
    ["bldr", ["build"]],
    ["bldr", ["test"]],
    ["bldr", ["query"]],
    ["bldr", ["graph"]],
    ["bldr", ["compdb"]],
    ["bldr", ["init"]],
    ["bldr", ["completion"]],
    ["bldr", ["fmt"]],
    ["bldr", ["schema"]],
    ["bldr", ["run"]],
    ["bldr", ["shell"]],
    ["bldr", ["why"]],
    ["bldr", ["verify"]],
    ["bldr", ["diff-actions"]],
  ];
  const known = new Set(["--help", "--version"]);
  for (const [program, words] of commands) {
    const { stdout } = await run(place, place.folder, program, [...words, "--help"]);
    for (const [flag] of stdout.matchAll(/--[a-z][a-z-]+/g)) known.add(flag);
  }
  const documented = new Set([...page.matchAll(/--[a-z][a-z-]+/g)].map(([flag]) => flag));
  const elsewhere = ["--remote_default_exec_properties", "--remote_timeout"];
  for (const flag of documented) {
    if (elsewhere.some((other) => other.startsWith(flag))) continue;
    expect([...known], `${flag} is documented`).toContain(flag);
  }
  for (const flag of known) {
    if (flag !== "--help" && flag !== "--version") expect(page, `${flag} exists`).toContain(flag);
  }
});

test("the Builderfiles of the README and the handbook build as printed", async () => {
  for (const document of ["README.md", "docs/builderfile.md"]) {
    const blocks = [...read(document).matchAll(/```(?:yaml)?\n((?:target|target\()[\s\S]*?)```/g)];
    expect(blocks.length, document).toBeGreaterThan(0);
    const { parseBuilderfile } = await import("../../src/builderfile/parse-builderfile.ts");
    for (const [, text = ""] of blocks) expect(parseBuilderfile(text, document).ok).toBe(true);
  }
});

test("the programs say so when they are not installed, and run on the project's own Node", async () => {
  const launcher = read("cli/bin/builder");
  expect(read("cli/bin/bldr")).toBe(launcher);
  const elsewhere = join(place.folder, "bare/cli/bin");
  await run(place, place.folder, "mkdir", ["-p", elsewhere]);
  await run(place, place.folder, "cp", [join(root, "cli/bin/builder"), elsewhere]);
  const failed = await run(place, place.folder, join(elsewhere, "builder"), ["--version"]);
  expect(failed.stderr).toMatch(/not installed yet. Run: cd .* && npm ci/);
  const check = read("tools/check-node.mjs").replaceAll("process.versions.node", '"20.1.0"');
  const old = await run(place, place.folder, process.execPath, ["-e", check]);
  expect(old.stderr).toMatch(
    /This is Node 20.1.0; the project runs on its own Node 26. Run `npm ci`/,
  );
  expect(old.code).toBe(1);
});
