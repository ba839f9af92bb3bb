// The builds that build tools told a node of, as text.

import type { InvocationReport, InvocationSummary } from "../src/build/invocations-client.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { printable } from "../src/telemetry/logger.ts";
import { tableLines, wrapped } from "./text-table.ts";
import { oneLine } from "./text-width.ts";

/** Lines of each list that are shown; `--json` has all. */
const listMax = 20;
/** Lines of what the tool printed that are shown. */
const printedMax = 20;

/** The list, one a line, at most `width` columns wide. */
export function invocationLines(
  invocations: readonly InvocationSummary[],
  width: number,
): readonly string[] {
  if (invocations.length === 0) {
    return wrapped("No build has told this node of itself. Bazel: --bes_backend=…", width, "");
  }
  const columns = [
    { head: "INVOCATION" },
    { head: "COMMAND" },
    { head: "RESULT" },
    { head: "TIME", right: true },
    { head: "TARGETS", right: true },
    { head: "TESTS", right: true },
    { head: "WORKSPACE", gives: true },
  ];
  const rows = invocations.map((one) => [
    one.id.slice(0, 8),
    one.command,
    resultOf(one),
    timeOf(one),
    share(one.targets, one.targetsFailed),
    share(one.tests, one.testsFailed),
    one.workspace,
  ]);
  return tableLines(columns, rows, width);
}

/** One invocation: what was built and tested, what failed, the end of what was printed. */
export function invocationReportLines(
  { summary, targets, tests, failedActions, runners, output, isCut }: InvocationReport,
  width: number,
): readonly string[] {
  if (summary === undefined) return [];
  const failed = targets.filter(({ success }) => !success);
  const notPassed = tests.filter(({ status }) => status !== "PASSED");
  const actions = runners.filter(({ name }) => name !== "total");
  const printed = plain(output);
  return [
    oneLine(`${summary.tool} ${summary.command} in ${summary.workspace}`.trim()),
    oneLine(`  id        ${summary.id}`),
    oneLine(`  user      ${summary.user}`),
    oneLine(`  result    ${resultOf(summary)} ${timeOf(summary)}`.trimEnd()),
    `  targets   ${share(summary.targets, summary.targetsFailed)}`,
    `  tests     ${share(summary.tests, summary.testsFailed)}`,
    `  actions   ${summary.actionsExecuted} run`,
    ...actions.map(({ name, actions: count }) => oneLine(`            ${count} ${name}`)),
    ...section("Failed actions", failedActions, ({ label, mnemonic, exitCode, output: made }) => {
      return `${label} ${mnemonic}, exit code ${exitCode}: ${made}`;
    }),
    ...section("Failed targets", failed, ({ label, why }) => `${label}${why && `: ${why}`}`),
    ...section("Tests that did not just pass", notPassed, ({ label, status, durationMs }) => {
      return `${status} ${label} (${formatMs(durationMs)})`;
    }),
    ...(printed.length > 0 ? ["Printed at the end:"] : []),
    ...printed.slice(-printedMax).map((line) => `  ${line}`),
    ...(isCut ? ["There was more than this node keeps."] : []),
  ].flatMap((line) => wrapped(line, width, "    "));
}

function section<T>(head: string, items: readonly T[], line: (item: T) => string): string[] {
  if (items.length === 0) return [];
  const more = items.length - listMax;
  return [
    `${head}:`,
    ...items.slice(0, listMax).map((item) => oneLine(`  ${line(item)}`)),
    ...(more > 0 ? [`  and ${more} more (--json)`] : []),
  ];
}

/** Lines without colours and what a terminal would take for one; a line drawn over is its last. */
function plain(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking them out is the purpose
  const bare = text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
  return bare
    .split("\n")
    .map((line) => printable(line.replace(/\r+$/, "").split("\r").at(-1) ?? "").trimEnd())
    .filter((line) => line !== "");
}

function resultOf({ result, exitCode }: InvocationSummary): string {
  if (result === "") return "running";
  return exitCode === 0 ? result : `${result} (${exitCode})`;
}

function timeOf({ startedAtMs, endedAtMs }: InvocationSummary): string {
  return endedAtMs > startedAtMs ? formatMs(endedAtMs - startedAtMs) : "";
}

function share(all: number, failed: number): string {
  return failed === 0 ? `${all}` : `${all}, ${failed} failed`;
}
