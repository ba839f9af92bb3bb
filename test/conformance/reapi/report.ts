// What the reader of a run sees: one line a case, grouped by the client that needs it.

import { clients } from "./case.ts";
import type { Outcome } from "./run-cases.ts";

const label = { passed: "ok     ", failed: "FAILED ", skipped: "skipped" } as const;

/** The report of a run as text. */
export function reportText(outcomes: readonly Outcome[]): string {
  const groups = clients.flatMap((client) => {
    const own = outcomes.filter((outcome) => outcome.case.client === client);
    return own.length === 0 ? [] : [`${client}\n${own.map(lineOf).join("\n")}\n`];
  });
  return `${groups.join("\n")}\n${closingLine(outcomes)}`;
}

/** `N passed, N failed, N skipped`. */
export function closingLine(outcomes: readonly Outcome[]): string {
  const count = (verdict: Outcome["verdict"]) =>
    outcomes.filter((outcome) => outcome.verdict === verdict).length;
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

/** The report of a run for programs. */
export function reportJson(address: string, outcomes: readonly Outcome[]): string {
  const cases = outcomes.map(({ case: { name, client, rule }, verdict, why, ms }) => {
    return { name, client, rule, verdict, why, ms };
  });
  return JSON.stringify({ address, cases }, undefined, 2);
}

function lineOf({ case: { name, rule }, verdict, why }: Outcome): string {
  const line = `  ${label[verdict]} ${name}`;
  if (verdict === "passed") return line;
  return verdict === "failed" ? `${line}\n            ${why} [${rule}]` : `${line} (${why})`;
}
