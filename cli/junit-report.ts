// The results of tests as JUnit XML, which CI systems read.

import type { BuildEvent } from "../src/build/build-event.ts";
import { isFailed } from "./build-report.ts";

type ActionEvent = Extract<BuildEvent, { kind: "action" }>;

/** One test suite for each test target, one test case for each of its shards. */
export function renderJunit(events: readonly BuildEvent[]): string {
  const casesByTarget = new Map<string, ActionEvent[]>();
  for (const event of events) {
    // A failure after which it was tried again is not the test's result.
    if (event.kind !== "action" || event.mnemonic !== "TestRun" || event.again) continue;
    casesByTarget.set(event.target, [...(casesByTarget.get(event.target) ?? []), event]);
  }
  const suites = [...casesByTarget].map(([target, cases]) => {
    const sorted = cases.toSorted((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
    return `  <testsuite ${totals(target, cases)}>\n${sorted.map(testCase).join("")}  </testsuite>\n`;
  });
  const all = [...casesByTarget.values()].flat();
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${totals("bldr test", all)}>\n${suites.join("")}</testsuites>\n`;
}

function totals(name: string, cases: readonly ActionEvent[]): string {
  const failures = cases.filter(isFailed).length;
  const ms = cases.reduce((sum, event) => sum + event.ms, 0);
  return `name="${escaped(name)}" tests="${cases.length}" failures="${failures}" errors="0" time="${seconds(ms)}"`;
}

function testCase(event: ActionEvent): string {
  const { target, id, ms } = event;
  const shard = / (shard \d+\/\d+)$/.exec(id)?.[1];
  const [folder = "", name = ""] = target.replace(/^\/\//, "").split(":");
  const title = shard === undefined ? name : `${name} ${shard}`;
  const parts = [
    isFailed(event) ? failure(event) : "",
    event.stdout === "" ? "" : `      <system-out>${escaped(event.stdout)}</system-out>\n`,
    event.stderr === "" ? "" : `      <system-err>${escaped(event.stderr)}</system-err>\n`,
  ].join("");
  const suite = escaped(folder === "" ? "//" : folder);
  const head = `    <testcase classname="${suite}" name="${escaped(title)}" time="${seconds(ms)}"`;
  return parts === "" ? `${head}/>\n` : `${head}>\n${parts}    </testcase>\n`;
}

function failure({ exitCode, failure: why, attempt, stdout, stderr }: ActionEvent): string {
  const message = why === "" ? `exit code ${exitCode}` : why;
  const tried = attempt > 1 ? ` at attempt ${attempt}` : "";
  return `      <failure message="${escaped(`${message}${tried}`)}">${escaped(`${stdout}${stderr}`)}</failure>\n`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  // Read back as they are, where a plain one would become a newline or, in an attribute, a space.
  "\r": "&#13;",
};

/**
 * Text for XML 1.0, in elements and attributes alike. Characters that no XML document may hold, not
 * even escaped, become a replacement character.
 */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replaceAll(/[&<>"\r]/g, (character) => entities[character] ?? "");
}
