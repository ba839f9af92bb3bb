// A build's profile in a few lines, and as a file for trace viewers.

import { writeFileSync } from "node:fs";
import type { BuildEvent } from "../src/build/build-event.ts";
import { renderChromeTrace } from "../src/build/chrome-trace.ts";
import {
  type BuildProfile,
  type ExecutedNow,
  phasesOf,
  profileOf,
  profilePhases,
} from "../src/build/profile.ts";
import { MeshError } from "../src/core/error.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { printable } from "../src/telemetry/logger.ts";
import { usageText } from "./build-report.ts";
import { formatBytes } from "./render.ts";

/** Lines of the critical path and of the slowest actions that are shown; the file has all. */
const linesMax = 5;

/** Writes `path`; what to print. INVALID_ARGUMENT where it cannot be written. */
export function writeProfile(
  path: string,
  events: readonly BuildEvent[],
  times: { readonly startMs: number; readonly endMs: number },
): string {
  const profile = profileOf(events, times.startMs, times.endMs);
  try {
    writeFileSync(path, renderChromeTrace(profile));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `--profile ${path} cannot be written (${why}).`);
  }
  return renderProfile(profile, path);
}

/** The profile for people, at most 20 lines. */
export function renderProfile(profile: BuildProfile, path: string): string {
  const { startMs, endMs, executed, reused, phases, parallelism, savedMs } = profile;
  const lines = [
    `Profile: ${path} (open it at https://ui.perfetto.dev)`,
    row("Build", `${formatMs(endMs - startMs)}, ${executed.length} ran, ${reused.length} reused`),
  ];
  if (executed.length > 0) {
    const { mean, most } = parallelism;
    lines.push(
      row("At once", `${mean.toFixed(1)} commands on average, ${most} at most`),
      row("Phases", profilePhases.map((name) => `${name} ${formatMs(phases[name])}`).join(", ")),
      ...usageLines(profile),
      ...criticalPathLines(profile),
      row("Slowest", ""),
      ...profile.slowest.slice(0, linesMax).map(slowLine),
    );
  }
  if (savedMs > 0) lines.push(row("Cache saved", `${formatMs(savedMs)} of commands`));
  return `${lines.map(printable).join("\n")}\n`;
}

/** Nothing where nothing was measured, as without isolation. */
function usageLines({ executed }: BuildProfile): string[] {
  const used = executed.flatMap(({ usage }) => usage ?? []);
  const cpuMs = used.reduce((sum, { userCpuMs, systemCpuMs }) => sum + userCpuMs + systemCpuMs, 0);
  const bytes = used.reduce((most, { memoryPeakBytes }) => Math.max(most, memoryPeakBytes), 0);
  if (bytes === 0) return [];
  return [
    row("Used", `CPU ${formatMs(cpuMs)}, memory of one action at most ${formatBytes(bytes)}`),
  ];
}

function criticalPathLines({ criticalPath, startMs, endMs }: BuildProfile): string[] {
  const lengthMs = criticalPath.reduce((sum, { times }) => sum + times.doneMs - times.sentMs, 0);
  const share = Math.round((100 * lengthMs) / Math.max(1, endMs - startMs));
  const shown = [...criticalPath]
    .sort((a, b) => tookMs(b) - tookMs(a))
    .slice(0, linesMax)
    .sort((a, b) => a.times.sentMs - b.times.sentMs);
  const rest = criticalPath.length - shown.length;
  return [
    row("Critical path", `${formatMs(lengthMs)} (${share} % of the build)`),
    ...shown.map((action) => item(tookMs(action), action.id)),
    ...(rest > 0 ? [`               and ${rest} shorter`] : []),
  ];
}

function tookMs({ times }: ExecutedNow): number {
  return times.doneMs - times.sentMs;
}

function slowLine(action: ExecutedNow): string {
  const where = [`on ${action.worker}`, ...usageText(action.usage)].join(", ");
  return item(phasesOf(action).run, `${action.id} ${where}`);
}

function item(ms: number, text: string): string {
  return `  ${formatMs(ms).padStart(11)}  ${text}`;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(13)} ${text}`.trimEnd();
}
