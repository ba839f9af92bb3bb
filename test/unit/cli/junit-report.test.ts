import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { renderJunit } from "../../../cli/junit-report.ts";
import type { BuildEvent } from "../../../src/build/build-event.ts";

type ActionEvent = Extract<BuildEvent, { kind: "action" }>;

function ran(id: string, changes: Partial<ActionEvent> = {}): BuildEvent {
  const [target = ""] = id.split(" ");
  return {
    ...{ kind: "action", id, target, mnemonic: "TestRun", how: "ran", exitCode: 0, ms: 1500 },
    ...{ worker: "", isolation: "", storedAtMs: 0, stdout: "", stderr: "", failure: "" },
    ...{ attempt: 1, again: false },
    ...changes,
  };
}

test("a suite for each target, a case for each shard, in the order of their numbers", () => {
  const xml = renderJunit([
    ran("//lib:t TestRun shard 10/10"),
    ran("//lib:t TestRun shard 2/10", { exitCode: 3, stderr: "no" }),
    ran("//:app CppLink", { mnemonic: "CppLink" }),
    ran("//:one TestRun", { how: "kept", ms: 0 }),
  ]);
  expect(xml).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bldr test" tests="3" failures="1" errors="0" time="3.000">
  <testsuite name="//lib:t" tests="2" failures="1" errors="0" time="3.000">
    <testcase classname="lib" name="t shard 2/10" time="1.500">
      <failure message="exit code 3">no</failure>
      <system-err>no</system-err>
    </testcase>
    <testcase classname="lib" name="t shard 10/10" time="1.500"/>
  </testsuite>
  <testsuite name="//:one" tests="1" failures="0" errors="0" time="0.000">
    <testcase classname="//" name="one" time="0.000"/>
  </testsuite>
</testsuites>
`);
});

test("a test that passed when it was tried again is no failure", () => {
  const id = "//:t TestRun";
  const xml = renderJunit([ran(id, { exitCode: 1, again: true }), ran(id, { attempt: 2 })]);
  expect(xml).toContain('tests="1" failures="0"');
});

// Each run starts another program, which takes a second on a busy machine.
test("whatever a test prints, the document can be parsed", { timeout: 120_000 }, () => {
  const text = fc.string({ unit: "binary", maxLength: 60 });
  const parse =
    "import sys, xml.etree.ElementTree as e\n" +
    "for c in e.parse(sys.stdin.buffer).iter('system-out'): sys.stdout.buffer.write(c.text.encode())";
  fc.assert(
    fc.property(text, (stdout) => {
      const xml = renderJunit([ran("//:t TestRun", { stdout: `.${stdout}`, failure: stdout })]);
      const said = execFileSync("python3", ["-c", parse], { input: xml, encoding: "utf8" });
      const known = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
      expect(said).toBe(`.${stdout}`.toWellFormed().replaceAll(known, "\ufffd"));
    }),
    { numRuns: 30 },
  );
});
