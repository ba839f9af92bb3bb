// What a verification found, for people: a block for each action that came out differently.

import type { Varied } from "../src/audit/likely-cause.ts";
import type { DifferingAction, DifferingOutput, Verification } from "../src/node/verify-build.ts";
import { printable } from "../src/telemetry/logger.ts";

const known: Readonly<Record<Varied, string>> = {
  path: "in another folder",
  time: "at another time",
  cores: "on fewer cores",
  order: "with folders listed in another order",
  pids: "with other ids of processes",
  chance: "each time",
  together: "only with all of it varied at once",
};

/** Bound: outputs of one action that are shown with their bytes; `--json` has all. */
const outputsMax = 10;

/** True where every action ran and came out the same. */
export function isReproducible({ differing, failed, skipped }: Verification): boolean {
  return differing.length + failed + skipped === 0;
}

/** The whole report, ready to be printed. */
export function renderVerification(verification: Verification): string {
  const { actions, differing, failed, skipped } = verification;
  const lines = differing.flatMap(renderAction);
  if (failed > 0) lines.push(`[ERROR] ${failed} actions failed, ${skipped} not tried`);
  if (differing.length > 0) {
    lines.push(`[ERROR] ${differing.length} of ${actions} actions come out differently`);
  } else if (failed === 0) {
    lines.push(`[INFO] ${actions} actions came out the same twice, to the byte`);
  }
  return `${lines.map(printable).join("\n")}\n`;
}

/** Every action that differs as one JSON object a line, and the end. */
export function verificationAsJson(verification: Verification): string {
  const { actions, differing, failed, skipped } = verification;
  const end = { kind: "verification", ok: isReproducible(verification), actions, failed, skipped };
  const lines = [...differing.map((one) => ({ kind: "differs", ...one })), end];
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

function renderAction({ id, varied, outputs }: DifferingAction): string[] {
  const when = varied.map((one) => known[one]).join(", and ");
  const shown = outputs.slice(0, outputsMax);
  const more = outputs.length - shown.length;
  return [
    `${id} comes out differently ${when}`,
    ...shown.flatMap(renderOutput),
    ...(more > 0 ? [`  and ${more} more outputs (--json)`] : []),
  ];
}

function renderOutput({ path, how, difference, cause }: DifferingOutput): string[] {
  const [first, second] = difference?.dumps ?? [[], []];
  return [
    path === "" ? `  ${how}` : `  ${path}: ${how}`,
    ...first.map((line) => `    first   ${line}`),
    ...second.map((line) => `    varied  ${line}`),
    `    likely: ${cause.text}`,
    `    mend:   ${cause.remedy}`,
  ];
}
