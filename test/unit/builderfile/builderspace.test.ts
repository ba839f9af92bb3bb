import { expect, test } from "vitest";
import {
  parseBuilderspace,
  plainBuilderspace,
} from "../../../src/builderfile/parse-builderspace.ts";

function space(text: string) {
  const parsed = parseBuilderspace(text, "Builderspace");
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return { ...parsed.value, placeByField: undefined };
}

function problems(text: string): string[] {
  const parsed = parseBuilderspace(text, "Builderspace");
  return parsed.ok
    ? []
    : parsed.problems.map(({ place, message }) => `${place.line}:${place.column} ${message}`);
}

test("both syntaxes say the same", () => {
  const expected = {
    ...{ name: "shop", env: { MODE: "fast" }, jobs: 8, remote: "build.example:9000" },
    ...{ outputDir: "out/bin", verbose: true, placeByField: undefined },
  };
  const braced = `// All of it
workspace("shop") {
  env: { MODE: fast }; maxJobs: 4 * 2; remote: "build.example:9000";
  outputDir: "out/bin/"; verbose: true;
}`.replace("4 * 2", "(4 * 2)");
  const indented = `workspace shop:
    env:
        MODE: fast
    jobs: 8
    remote: build.example:9000
    output_dir: out/bin
    verbose: true
`;
  expect(space(braced)).toEqual(expected);
  expect(space(indented)).toEqual(expected);
});

test.each(["", " \n", "# nothing yet\n", "// nothing yet\n", "workspace shop:\n"])(
  "%j says nothing, and that is fine",
  (text) => {
    const { name } = space(text);
    expect(space(text)).toEqual({ ...plainBuilderspace, name, placeByField: undefined });
  },
);

test.each([
  ['workspace("a") { cacheDir: ".cache"; }', /^1:18 cacheDir belongs to a machine.*--store=FOLDER/],
  ["workspace a:\n    job: 3\n", /^2:5 There is no field job\. Did you mean jobs\?/],
  ["workspace a:\n    jobs: 0\n", /^2:11 jobs wants a whole number above 0/],
  ['workspace("a") { outputDir: "../x"; }', /^1:29 The path "\.\.\/x" leaves the package/],
  ["workspace a:\n  jobs: 1\nworkspace b:\n  jobs: 2\n", /^3:11 There is one workspace/],
  ["target a:\n    command: x\n", /^1:1 Expected "workspace NAME:" and found "target a:"/],
  ['target("a") { command: x; }', /^1:1 target\(…\) belongs in a Builderfile/],
  ["\0", /^1:1 It holds a NUL byte/],
])("%j is refused", (text, expected) => {
  expect(problems(text)[0]).toMatch(expected);
});
