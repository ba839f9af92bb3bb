// The quickest answer: `bldr build` where nothing changed since the same request was last answered.
// Nothing but this, the record and the report is loaded for it.

import {
  type RecalledBuild,
  recallBuild,
  type Shown,
  settleBuild,
  tellUnchanged,
} from "../src/build/unchanged.ts";
import { type BuildReportOptions, createBuildReport } from "./build-report.ts";

/** Answers where nothing changed; false where it takes more than that. */
export function answerUnchanged(): boolean {
  const words = process.argv.slice(2);
  if (words[0] !== "build" && words[0] !== "test") return false;
  const recalled = recall(process.cwd(), words);
  if (recalled === undefined || recalled.lost.length > 0) return false;
  const report = createBuildReport(reportOptions(recalled.record.shown));
  report.begin();
  tellUnchanged(recalled.record, report.emit, performance.now());
  settleBuild(recalled, Date.now());
  return true;
}

function recall(folder: string, words: readonly string[]): RecalledBuild | undefined {
  return recallBuild(folder, requestOf(folder, words), process.env);
}

/** A request as one text: where it was asked, and its words as they were typed. */
export function requestOf(folder: string, words: readonly string[]): string {
  return JSON.stringify([folder, ...words]);
}

/** A report to this process's own output. */
export function reportOptions({ json, node }: Shown): BuildReportOptions {
  return {
    write: (text) => process.stdout.write(text),
    warn: (text) => process.stderr.write(text),
    json,
    remote: node === "" ? undefined : node,
    startedAtMs: Date.now() - performance.now(),
    now: Date.now,
  };
}
