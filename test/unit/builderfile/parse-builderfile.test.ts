import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatProblem, type Target } from "../../../src/builderfile/model.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";

function targets(text: string): readonly Target[] {
  const parsed = parseBuilderfile(text, "Builderfile");
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => formatProblem(p, text)).join("\n"));
  return parsed.value.targets;
}

function problems(text: string | Uint8Array): string[] {
  const parsed = parseBuilderfile(text, "B");
  if (parsed.ok) throw new Error("it parsed");
  return parsed.problems.map(({ place, message }) => `${place.line}:${place.column} ${message}`);
}

/** A target without the places of things, for comparing the two syntaxes. */
function meaning({ place: _, placeByField: __, deps, ...rest }: Target) {
  return { ...rest, deps: deps.map(({ package: folder, name }) => ({ folder, name })) };
}

const indented = `# A comment
target app:
    type: executable
    language: cpp
    sources:
        - src/**/*.cpp      # all of them
        - "odd name.cpp"
    includes: [include, .]
    flags: -O2 -Wall
    link_flags:
        - -lm
    depends: util
    env:
        MODE: fast
    output: build/app
    hermetic:
        max_memory: 2GiB
        max_cpu: 1.5
        timeout: 5m
    remote: false
    cache: true
    parallelism: 8
    priority: high
`;
const braced = `/* A comment */
target("app") {
  type: executable; language: "cpp";
  sources: ["src/**/*.cpp", "odd name.cpp",];   // all of them
  includes: [include, "."];
  flags: ["-O2", "-Wall"];
  linkflags: -lm;
  deps: [":util"];
  env: { MODE: "fast" };
  output: "build/app";
  hermetic { max_memory: 2GiB; max_cpu: 1.5, timeout: "5m" }
  remote: false; cache: true; parallelism: 8; priority: high
}
`;

describe("both syntaxes", () => {
  test("say the same thing", () => {
    const [a] = targets(indented);
    const [b] = targets(braced);
    expect(meaning(a!)).toEqual(meaning(b!));
    expect(a).toMatchObject({
      sources: ["src/**/*.cpp", "odd name.cpp"],
      flags: ["-O2", "-Wall"],
      hermetic: { maxMemoryBytes: 2 ** 31, maxCpus: 1.5, timeoutMs: 300_000, network: false },
      remote: false,
      priority: -50,
    });
  });

  test("take CRLF line ends", () => {
    expect(targets(indented.replaceAll("\n", "\r\n")).map(meaning)).toEqual(
      targets(indented).map(meaning),
    );
    expect(targets(braced.replaceAll("\n", "\r\n"))).toHaveLength(1);
  });
});

test("a text block keeps its lines, its inner indent and its # signs", () => {
  const [target] = targets(
    "target x:\n  command: |\n    if a; then\n      b # c\n\n    fi\n  outputs: [o]\n",
  );
  expect(target?.command).toBe("if a; then\n  b # c\n\nfi\n");
  expect(target?.type).toBe("custom");
});

test("a test says its shards, its retries, its arguments and its language's options", () => {
  const text = `target t:
    type: test
    sources: a.rs
    shards: 4
    retries: 0
    args: --fast
    options:
        edition: 2024
`;
  const expected = { shards: 4, flakyRetries: 0, options: { edition: "2024" } };
  expect(targets(text)[0]).toMatchObject({ ...expected, args: ["--fast"] });
  expect(targets("target t:\n  type: test\n  sources: a.c\n")[0]).toMatchObject({
    ...{ shards: 1, flakyRetries: 0, options: {}, args: [] },
  });
  expect(problems("target t:\n  type: test\n  command: x\n  args: y\n")).toEqual([
    "4:3 args means nothing for a test with a command target.",
  ]);
  expect(problems("target t:\n  type: library\n  sources: a.c\n  shards: 0\n")).toEqual([
    "4:3 shards means nothing for a library target.",
    '4:11 shards wants a whole number above 0, not "0".',
  ]);
});

describe("mistakes have a place, a reason and a hint", () => {
  test.each([
    [
      "target a:\n    tpye: executable\n    command: x\n",
      "2:5 There is no field tpye. Did you mean type?",
    ],
    [
      "target a:\n    type: libary\n",
      '2:11 There is no target type "libary". Did you mean library?',
    ],
    ["target a:\n    command: x\n    command: y\n", "3:5 Field command is given twice."],
    [
      "target a:\n    command: x\ntarget a:\n    command: y\n",
      "3:8 Target a stands already in line 1.",
    ],
    [
      "target a:\n    command: x\n    cache: maybe\n",
      '3:12 cache wants a true or false, not "maybe".',
    ],
    [
      "target a:\n    command: x\n    hermetic:\n        max_memory: lots\n",
      '4:21 hermetic.max_memory wants a size such as 2GiB, not "lots".',
    ],
    [
      "target a:\n    type: library\n    sources: ../x.c\n",
      '3:14 The path "../x.c" leaves the package with ... Write one below here.',
    ],
    [
      "target a:\n    type: library\n    sources: /etc/x.c\n",
      '3:14 The path "/etc/x.c" is absolute. Write one below here.',
    ],
    [
      "target a:\n    type: library\n    sources: a.c\n    outputs: b\n",
      "4:5 outputs means nothing for a library target.",
    ],
    ["target a:\n\tcommand: x\n", "2:2 Indent with spaces, not tabs."],
    ["target a\n    command: x\n", '1:1 A target begins with "target NAME:", not "target a".'],
    ["target a:\n    type: executable\n", "1:8 Target a (executable) needs sources."],
    ["target a:\n", "1:8 Target a needs a type (executable, library, test) or a command."],
    ['target("a") { command: "x" \n', "2:1 Expected ; or } and found end of file."],
    ['let x = 1;\ntarget("a") { command: "x"; }\n', '1:1 "let" is not supported in this version.'],
    ['target("a") { command: "x\n', '1:24 This text never ends; it wants " on its line.'],
    ["", '1:1 It is empty. Begin with "target NAME:".'],
    ["\0", "1:1 It holds a NUL byte; it is no text file."],
  ])("%j", (text, first) => {
    expect(problems(text)).toContain(first);
  });

  test("several are reported at once, at most twenty", () => {
    const many = Array.from(
      { length: 50 },
      (_, i) => `target t${i}:\n    command: x\n    nope${i}: 1\n`,
    );
    expect(problems(many.slice(0, 3).join("")).length).toBe(3);
    expect(problems(many.join("")).length).toBe(20);
  });

  test("hermetic cannot be switched off in a file", () => {
    expect(problems("target a:\n    command: x\n    hermetic: false\n")[0]).toMatch(
      /--sandbox=none/,
    );
  });
});

test("no bytes make it throw or hang", () => {
  const mutated = fc
    .tuple(fc.constantFrom(indented, braced), fc.nat(), fc.string({ maxLength: 4 }))
    .map(
      ([text, at, noise]) =>
        text.slice(0, at % text.length) + noise + text.slice((at + 3) % text.length),
    );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 4000 }), mutated), (input) => {
      const parsed = parseBuilderfile(input, "B");
      if (!parsed.ok) expect(parsed.problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 1500 },
  );
});
