import { expect, test } from "vitest";
import { invocationLines, invocationReportLines } from "../../../cli/invocations-view.ts";
import { InvocationReport } from "../../../src/wire/gen/builder/node/v1/node.ts";

const hostile = "\u001b[31m\u001b]0;title\u0007\u009b2J<b>\u202e\r\nnext";
const report = InvocationReport.fromPartial({
  summary: {
    ...{ id: `0a1b2c3d-${hostile}`, user: hostile, command: hostile, tool: hostile },
    ...{ workspace: hostile, result: hostile, exitCode: 1, targets: 1, targetsFailed: 1 },
  },
  targets: [{ label: hostile, success: false, why: hostile }],
  tests: [{ label: hostile, status: hostile, durationMs: 1200 }],
  failedActions: [{ label: hostile, mnemonic: hostile, output: hostile, exitCode: 3 }],
  runners: [{ name: hostile, actions: 3 }],
  output: `\u001b[32mINFO: \u001b[0mdone\n[1 / 2]\r[2 / 2]\n${hostile}\n`,
});

test("whatever a client sends, a terminal gets text and nothing else", () => {
  const lines = [
    ...invocationReportLines(report, 80),
    ...invocationLines(report.summary === undefined ? [] : [report.summary], 80),
  ];
  for (const line of lines) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  }
});

test("what the tool printed is shown without colours, a line drawn over as it was last", () => {
  const text = invocationReportLines(report, 200).join("\n");
  expect(text).toContain("  INFO: done");
  expect(text).toContain("  [2 / 2]");
  expect(text).not.toContain("[1 / 2]");
});

test("a running and a finished build are told apart", () => {
  const base = InvocationReport.fromPartial({ summary: { id: "one", command: "build" } }).summary;
  if (base === undefined) throw new Error("There is none.");
  const finished = { ...base, id: "two", result: "SUCCESS", startedAtMs: 1000, endedAtMs: 3500 };
  const [, first = "", second = ""] = invocationLines([base, finished], 80);
  expect(first).toMatch(/^one +build +running/);
  expect(second).toMatch(/^two +build +SUCCESS +2.5s/);
});

test("where there is none, it says how a build would be told", () => {
  expect(invocationLines([], 80).join(" ")).toContain("--bes_backend");
});
