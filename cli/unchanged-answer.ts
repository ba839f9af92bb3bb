// The quickest answer: `bldr build` where nothing changed since the same request was last answered.
// Nothing but this, the record and the report is loaded for it.

import { fstatSync, writeSync } from "node:fs";
import {
  type RecalledBuild,
  recallBuild,
  type Shown,
  settleBuild,
  tellUnchanged,
} from "../src/build/unchanged.ts";
import { type BuildReportOptions, createBuildReport } from "./build-report.ts";
import { usesColor } from "./color.ts";

/** Answers where nothing changed; false where it takes more than that. */
export function answerUnchanged(): boolean {
  const words = process.argv.slice(2);
  if (words[0] !== "build" && words[0] !== "test") return false;
  const recalled = recall(process.cwd(), words);
  if (recalled === undefined || recalled.lost.length > 0) return false;
  if (!recalled.record.shown.alone) return false;
  let answer = "";
  const write = (text: string) => {
    answer += text;
  };
  const report = createBuildReport({ ...reportOptions(recalled.record.shown), write });
  report.begin();
  tellUnchanged(recalled.record, report.emit, Math.round(performance.now()));
  writeOut(answer);
  settleBuild(recalled, Date.now());
  return true;
}

/** Straight to the descriptor: Node takes milliseconds to make a stream of it. */
function writeOut(text: string): void {
  let written = 0;
  try {
    written = writeSync(1, text);
  } catch {
    // A pipe that is full, or closed: the stream knows what to do.
  }
  const rest = Buffer.from(text).subarray(written);
  if (rest.length > 0) process.stdout.write(rest);
}

function recall(folder: string, words: readonly string[]): RecalledBuild | undefined {
  return recallBuild(folder, requestOf(folder, words), process.env);
}

/** A request as one text: where it was asked, and its words as they were typed. */
export function requestOf(folder: string, words: readonly string[]): string {
  return JSON.stringify([folder, ...words]);
}

/** A report of an answer that is told all at once. */
function reportOptions({ json, node, color }: Shown): Omit<BuildReportOptions, "write"> {
  // Asking the stream would make it, which takes milliseconds; /dev/null does not mind colours.
  const isTerminal = fstatSync(1).isCharacterDevice();
  return {
    warn: (text) => process.stderr.write(text),
    json,
    verbose: false,
    color: { write: usesColor(color, process.env, isTerminal), warn: false },
    remote: node === "" ? undefined : node,
    startedAtMs: Date.now() - performance.now(),
    now: Date.now,
    isInterrupted: () => false,
  };
}
