import { expect, test } from "vitest";
import type { Finding, FindingKind } from "../../../src/audit/outside-spec.ts";
import { remediesFor } from "../../../src/audit/remedies.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";

function finding(kind: FindingKind, what: string): Finding {
  return { kind, what, how: ["read"], count: 1, programs: ["cc"] };
}

function remedies(text: string, folder: string, findings: Finding[], isBraced = false) {
  const file = folder === "" ? "Builderfile" : `${folder}/Builderfile`;
  const parsed = parseBuilderfile(text, file);
  if (!parsed.ok) throw new Error("the Builderfile is wrong");
  const [target] = parsed.value.targets;
  if (target === undefined) throw new Error("no target");
  const isOfRun = (path: string) => path.includes("run");
  const makerOf = (path: string) => (path.startsWith("lib/gen") ? "//lib:gen" : undefined);
  return remediesFor(findings, { placed: { package: folder, target }, makerOf, isBraced, isOfRun });
}

const program = "target app:\n    type: executable\n    sources: [src/*.cpp, a b.cpp]\n";
const command =
  "target gen:\n    command: true\n    outputs: [x]\n    hermetic:\n        timeout: 5m\n";

test("a program's missing files go to its sources, in its own syntax", () => {
  const found = [finding("input", "lib/inc/a.h"), finding("input", "lib/b.ld")];
  expect(remedies(program, "lib", found)).toEqual([
    {
      place: "lib/Builderfile:3",
      line: 'sources: [src/*.cpp, "a b.cpp", inc/a.h, b.ld]',
      advice: "",
    },
  ]);
  expect(remedies(program, "lib", found, true)[0]?.line).toBe(
    'sources: ["src/*.cpp", "a b.cpp", "inc/a.h", "b.ld"];',
  );
});

test("the line that is told parses, and means what it says", () => {
  const [remedy] = remedies(program, "", [finding("input", "inc/a.h")]);
  const lines = program.split("\n");
  const at = Number(remedy?.place?.split(":")[1]) - 1;
  lines[at] = `    ${remedy?.line}`;
  const parsed = parseBuilderfile(lines.join("\n"), "Builderfile");
  expect(parsed.ok && parsed.value.targets[0]?.sources).toEqual([
    "src/*.cpp",
    "a b.cpp",
    "inc/a.h",
  ]);
});

test("a command's go to its inputs, what others make to its deps, outputs to its outputs", () => {
  const found = [
    finding("input", "lib/data.txt"),
    finding("input", "lib/gen.h"),
    finding("output", "lib/stray"),
  ];
  expect(remedies(command, "lib", found)).toMatchObject([
    { place: "lib/Builderfile:1", line: "inputs: [data.txt]" },
    { place: "lib/Builderfile:1", line: "deps: [gen]" },
    { place: "lib/Builderfile:3", line: "outputs: [x, stray]" },
  ]);
  expect(remedies(command, "", [finding("input", "lib/gen.h")])[0]?.line).toBe("deps: [//lib:gen]");
});

test("what a test reads when it runs goes to its inputs, what it writes to its outputs", () => {
  const text = program.replace("type: executable", "type: test");
  const found = [
    finding("input", "run.txt"),
    finding("input", "made.h"),
    finding("output", "log.txt"),
  ];
  expect(remedies(text, "", found).map(({ line }) => line)).toEqual([
    'sources: [src/*.cpp, "a b.cpp", made.h]',
    "inputs: [run.txt]",
    "outputs: [log.txt]",
  ]);
});

test("the network is allowed where the limits are", () => {
  const found = [finding("network", "10.0.0.1:80")];
  expect(remedies(command, "", found)).toMatchObject([
    { place: "Builderfile:4", line: "network: true" },
  ]);
  const [other] = remedies(program, "", found);
  expect(other).toMatchObject({
    place: "Builderfile:1",
    line: "hermetic:\n    network: true",
  });
});

test("where no line helps a sentence does", () => {
  const kinds: FindingKind[] = ["absolute", "hidden", "written", "blind"];
  const all = remedies(
    program,
    "",
    kinds.map((kind) => finding(kind, "/x")),
  );
  expect(all).toHaveLength(4);
  expect(all.every(({ line, advice }) => line === undefined && advice !== "")).toBe(true);
  const far = remedies(program, "lib", [finding("input", "other/a.h")]);
  expect(far[0]?.advice).toContain("other/a.h is of another folder");
  expect(remedies(program, "", [finding("machine", "/etc/passwd")])).toEqual([]);
});
