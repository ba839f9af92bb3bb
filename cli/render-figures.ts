// The screens of `builder remote top`, `actions`, `why` and `logs`, as pure functions. Every text
// that comes from a node is made harmless: names of targets, users and nodes may hold anything.

import type { ActionList, Explanation, LogLines, MeshFigures } from "../src/node/insight-client.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { tableLines, wrapped } from "./text-table.ts";
import { oneLine } from "./text-width.ts";

type Host = MeshFigures["hosts"][number];
type Worker = Host["workers"][number];
type Times = Worker["fetch"];

/** The screen of `builder remote top`: hosts, workers, and what looks wrong. */
export function topLines(figures: MeshFigures, width: number): string[] {
  return [
    ...hostTable(figures, width),
    "",
    ...workerTable(figures, width),
    ...troubleLines(figures.troubles, width),
  ];
}

/** What looks wrong, one paragraph each; nothing where nothing does. */
export function troubleLines(troubles: readonly string[], width: number): string[] {
  if (troubles.length === 0) return [];
  return ["", "Look at:", ...troubles.flatMap((text) => wrapped(`  ${text}`, width, "    "))];
}

/** The screen of `builder remote actions`. */
export function actionLines(list: ActionList, width: number): string[] {
  const { actions, total, silent } = list;
  const table = tableLines(
    [
      { head: "Age", right: true },
      { head: "State" },
      { head: "Time", right: true },
      { head: "Where" },
      { head: "Action" },
      { head: "What", gives: true },
    ],
    actions.map((line) => [
      formatMs(line.ageMs),
      stateText(line),
      formatMs(line.state === "queued" ? line.waitMs : line.runMs),
      line.worker === "" ? "-" : line.worker,
      hashOf(line.action).slice(0, 12),
      `${line.kind}${line.failure === "" ? "" : `: ${line.failure}`}`,
    ]),
    width,
  );
  const rest = total - actions.length;
  return [
    ...(actions.length === 0 ? ["No such actions."] : table),
    ...(rest > 0 && actions.length > 0 ? [`and ${rest} more (--limit, --skip, --json)`] : []),
    ...silentLine(silent),
  ];
}

/** The answer of `builder remote why`. */
export function whyLines({ lines }: Explanation, width: number): string[] {
  return lines.flatMap((line) => wrapped(line, width, line.startsWith("  ") ? "    " : "  "));
}

/** Lines of a log; `nowMs` is this machine's clock, so that all times are its own. */
export function logLines({ lines, silent, refused }: LogLines, nowMs: number): string[] {
  return [
    ...lines.map(({ ageMs, level, text, host }) => {
      const at = new Date(nowMs - ageMs).toISOString().slice(11, 19);
      const where = host === "" ? "" : `${oneLine(host)} `;
      return `${at} ${where}[${level.toUpperCase()}] ${oneLine(text)}`;
    }),
    ...silentLine(silent),
    ...(refused.length === 0 ? [] : [`Do not tell: ${refused.map(oneLine).join(", ")}`]),
  ];
}

/** Names of hosts that did not answer. */
export function silentLine(silent: readonly string[]): string[] {
  return silent.length === 0 ? [] : [`Silent: ${silent.map(oneLine).join(", ")}`];
}

/** Every worker of the mesh once, as its own host knows it or else who gave it most work. */
export function workersOf({ hosts }: MeshFigures): Worker[] {
  const byPeer = new Map<string, Worker>();
  for (const { peer, workers } of hosts) {
    for (const worker of workers) {
      const known = byPeer.get(worker.peer);
      const times = known !== undefined && known.ended >= worker.ended ? known : worker;
      const load = known === undefined || worker.home === peer ? worker : known;
      const { slots, free, queued, draining } = load;
      byPeer.set(worker.peer, { ...times, slots, free, queued, draining });
    }
  }
  return [...byPeer.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function hostTable({ hosts }: MeshFigures, width: number): string[] {
  return tableLines(
    [
      { head: "Host", gives: true },
      { head: "Waiting", right: true },
      { head: "Running", right: true },
      { head: "Ended", right: true },
      { head: "Failed", right: true },
      { head: "Load", right: true },
      { head: "Lag", right: true },
      { head: "Link", right: true },
    ],
    hosts.map((host, at) => {
      if (host.silent) return [host.name, "silent"];
      const load = host.cores === 0 ? "-" : `${Math.round(host.loadPercent / host.cores)}%`;
      const counts = [host.pending, host.executing, host.ended, host.failed].map(String);
      return [
        at === 0 ? `${host.name} (asked)` : host.name,
        ...counts,
        load,
        formatMs(host.lagMs),
        at === 0 ? "-" : linkText(hosts[0], host.peer),
      ];
    }),
    width,
  );
}

function workerTable(figures: MeshFigures, width: number): string[] {
  const [asked] = figures.hosts;
  // Median and 95th percentile where there is room for both.
  const time = (times: Times) => {
    if (times === undefined) return "-";
    const both = `${formatMs(times.p50Ms)}/${formatMs(times.p95Ms)}`;
    return width >= 110 ? both : formatMs(times.p50Ms);
  };
  return tableLines(
    [
      { head: "Worker", gives: true },
      ...["Slots", "Queue", "Ended", "Fetch", "Set up", "Run", "Store", "Stole", "Link"].map(
        (head) => ({ head, right: true }),
      ),
    ],
    workersOf(figures).map((worker) => [
      `${worker.name}${worker.draining ? " (leaving)" : ""}`,
      `${worker.slots - worker.free}/${worker.slots}`,
      ...[worker.queued, worker.ended].map(String),
      ...[worker.fetch, worker.setUp, worker.run, worker.store].map(time),
      String(worker.stolen),
      linkText(asked, worker.peer),
    ]),
    width,
  );
}

/** How long it takes from a host to a peer and back, with the late answers. */
function linkText(from: Host | undefined, peer: string): string {
  const link = from?.links.find((one) => one.peer === peer);
  if (link === undefined || link.rttMs < 0)
    return link !== undefined && link.late > 0 ? "late" : "-";
  const late = link.late > 0 ? ` ${link.late}/${link.asked} late` : "";
  return `${formatMs(link.rttMs)}${late}`;
}

function stateText({ state, stolen, attempts, exitCode }: ActionList["actions"][number]): string {
  const exit = state === "failed" && exitCode !== undefined ? ` (${exitCode})` : "";
  const tries = attempts > 1 ? ` try ${attempts}` : "";
  return `${state}${exit}${stolen ? " stolen" : ""}${tries}`;
}

/** The hash of `function:hash/size`. */
function hashOf(key: string): string {
  return /:([0-9a-f]+)\//.exec(key)?.[1] ?? key;
}
