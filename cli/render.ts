// Everything people read, as pure functions from figures to text.

import type { Status } from "../src/node/status.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { printable } from "../src/telemetry/logger.ts";
import { troubleLines } from "./render-figures.ts";
import { renderScaling } from "./scaling-text.ts";

/** The screen of `builder remote status` fits into a terminal of this width, wherever it goes. */
const statusColumns = 80;

/** The age of something for people, in its largest unit: `2m ago`, `just now`. */
export function formatAge(ms: number): string {
  if (ms < 1000) return "just now";
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ] as const;
  const [unit, size] = units.find(([, candidate]) => ms >= candidate) ?? ["s", 1000];
  return `${Math.floor(ms / size)}${unit} ago`;
}

/** A size for people in decimal units: `512 B`, `234 KB`, `1.2 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A share for people; a dash where there is nothing to take a share of. */
export function formatShare(part: number, whole: number, digits: number): string {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(digits)}%`;
}

/** The screen of `builder remote status`. Every figure is the node's own at the time of asking. */
export function renderStatus(status: Status): string {
  const slots = sum(status.workers.map((worker) => worker.slots));
  const running = sum(status.workers.map((worker) => worker.slots - worker.free));
  const busy = status.workers.filter((worker) => worker.free < worker.slots).length;
  const { actions } = status;
  const lines = [
    "Remote Execution Status",
    "═══════════════════════",
    `Service: ${status.draining ? "Draining" : "Running"} (uptime: ${formatMs(status.uptimeMs)})`,
    "",
    "Workers:",
    `  Total: ${status.workers.length}`,
    `  Idle: ${status.workers.length - busy}`,
    `  Busy: ${busy}`,
    `  Utilization: ${formatShare(running, slots, 0)}`,
    "",
    "Queue:",
    `  Pending: ${count(status.pending)}`,
    `  Executing: ${count(status.executing)}`,
    `  Completed: ${count(actions.ended)}`,
    ...status.waits.map(waitLine),
    "",
    ...renderScaling(status.scaling),
    "Metrics:",
    `  Success rate: ${formatShare(actions.succeeded, actions.ended + actions.failed, 1)}`,
    `  Cache hit rate: ${formatShare(actions.cacheHits, actions.cacheLookups, 1)}`,
    `  Avg execution time: ${actions.ended === 0 ? "-" : formatMs(actions.runMs / actions.ended)}`,
  ];
  lines.push(...renderMesh(status));
  if (status.invocations.length > 0) lines.push("", "Invocations:");
  for (const { user, invocation, pending, executing } of status.invocations) {
    lines.push(
      `  ${printable(`${user} ${invocation}`)}: ${pending} pending, ${executing} executing`,
    );
  }
  lines.push(...troubleLines(status.troubles, statusColumns));
  return `${lines.join("\n")}\n`;
}

/** `  Waiting: 12 because slots are taken (longest 5.2s)`. */
function waitLine({ reason, count: waiting, longestMs }: Status["waits"][number]): string {
  return `  Waiting: ${waiting} because ${printable(reason)} (longest ${formatMs(longestMs)})`;
}

/** A node alone that nobody may take work from is no mesh worth telling of. */
function renderMesh({ members, leader, peer, workStealing }: Status): readonly string[] {
  if (members.length < 2 && !workStealing) return [];
  const alive = members.filter(({ state }) => state === "alive").length;
  const coordinator = members.find((member) => member.peer === leader);
  const name = coordinator === undefined ? "none yet" : printable(coordinator.name);
  return [
    "",
    "Mesh:",
    `  Hosts: ${alive} of ${members.length} alive`,
    `  Coordinator: ${name}${leader === peer ? " (this node)" : ""}`,
    `  Work stealing: ${workStealing ? "on" : "off"}`,
  ];
}

function count(actions: number): string {
  return `${actions} action${actions === 1 ? "" : "s"}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
