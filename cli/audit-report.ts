// What an audit found, for people: a block for each target, what to do below it.

import { type Finding, type FindingKind, isUndeclared } from "../src/audit/outside-spec.ts";
import type { Audit, AuditedTarget } from "../src/node/audit-build.ts";
import { printable } from "../src/telemetry/logger.ts";

/** What stands over each kind. */
const headings: Readonly<Record<FindingKind, string>> = {
  input: "of the workspace, not declared",
  absolute: "of the workspace, by an absolute path",
  output: "made, and no declared output",
  hidden: "of this machine, hidden by the sandbox",
  written: "of this machine, written or removed",
  network: "network",
  blind: "calls that nothing can follow",
  machine: "depends on this machine (seen in the sandbox, too)",
  listing: "folders listed that hold undeclared files (harmless where only names are read)",
};

/** Bound: lines of one kind; `--json` has all. */
const linesMax = 50;

/** True where every action ran and kept to its specification. */
export function isHermetic({ targets, failed, skipped }: Audit): boolean {
  return failed + skipped === 0 && targets.every(({ findings }) => !findings.some(isUndeclared));
}

/** The whole report, ready to be printed. */
export function renderAudit(audit: Audit): string {
  const blocks = audit.targets.map(renderTarget);
  return [...blocks, conclusion(audit)].join("");
}

/** Every target as one JSON object a line, and the end. */
export function auditAsJson(audit: Audit): string {
  const lines = audit.targets.map((target) => ({
    ...{ kind: "audited", label: target.label, actions: target.actions },
    findings: target.findings.map((one) => ({ ...one, undeclared: isUndeclared(one) })),
    remedies: target.remedies,
  }));
  const { failed, skipped } = audit;
  const end = { kind: "audit", ok: isHermetic(audit), failed, skipped };
  return [...lines, end].map((line) => `${JSON.stringify(line)}\n`).join("");
}

function renderTarget(target: AuditedTarget): string {
  const outside = target.findings.filter(isUndeclared).length;
  const count = outside === 0 ? "nothing" : `${outside} ${outside === 1 ? "thing" : "things"}`;
  const kinds = [...new Set(target.findings.map(({ kind }) => kind))];
  const lines = [`${target.label}: ${count} outside its specification`];
  for (const kind of kinds) {
    const found = target.findings.filter((finding) => finding.kind === kind);
    lines.push(`  ${headings[kind]}`);
    lines.push(...found.slice(0, linesMax).map((finding) => `    ${findingLine(finding)}`));
    if (found.length > linesMax) lines.push(`    and ${found.length - linesMax} more (--json)`);
  }
  for (const { place, line, advice } of target.remedies) {
    if (line === undefined) lines.push(`  ${advice}`);
    else {
      lines.push(`  ${place} should say${advice === "" ? "" : ` (${lowered(advice)})`}:`);
      lines.push(...line.split("\n").map((part) => `    ${part}`));
    }
  }
  return `${lines.map(printable).join("\n")}\n`;
}

function findingLine({ what, how, count, programs }: Finding): string {
  const who = programs.length > 3 ? [...programs.slice(0, 3), "others"] : programs;
  const often = count === 1 ? "" : `, ${count} times`;
  return `${what}  ${how.join(", ")} by ${who.join(", ")}${often}`;
}

function lowered(advice: string): string {
  return advice.charAt(0).toLowerCase() + advice.slice(1).replace(/\.$/, "");
}

function conclusion({ targets, failed, skipped }: Audit): string {
  const lines: string[] = [];
  if (failed > 0) {
    const rest = skipped > 0 ? `, ${skipped} not tried` : "";
    lines.push(`[ERROR] ${failed} actions failed${rest}: what they would have done is not known`);
  }
  const wrong = targets.filter(({ findings }) => findings.some(isUndeclared)).length;
  if (wrong === 0 && failed === 0) {
    lines.push(`[INFO] ${targets.length} targets keep to their specifications`);
  } else if (wrong > 0) {
    lines.push(`[ERROR] ${wrong} of ${targets.length} targets reach outside their specifications`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
