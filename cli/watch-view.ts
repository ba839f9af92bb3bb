// The screen of `builder remote watch`: a box with the figures of the mesh, small curves, hosts,
// what runs and what looks wrong. A pure function of what a node last told.

import type { ActionList, MeshFigures } from "../src/node/insight-client.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { troubleLines, workersOf } from "./render-figures.ts";
import { cutMiddle, oneLine, textWidth } from "./text-width.ts";

/** What is shown. */
export interface Watched {
  readonly figures: MeshFigures;
  readonly running: ActionList;
}

/** Seconds over which throughput and hit rate are told. */
const windowS = 60;
/** Actions shown at most; fewer where the terminal is low. */
const runningMax = 20;

/** The figures of the box, also as one line for a pipe. */
export function watchFigures({ figures }: Watched): string[] {
  const workers = workersOf(figures);
  const busy = workers.filter(({ free, slots }) => free < slots).length;
  const beats = figures.hosts.flatMap((host) => host.beats.slice(-windowS));
  const sum = (of: (beat: (typeof beats)[number]) => number) =>
    beats.reduce((total, beat) => total + of(beat), 0);
  const [lookups, hits] = [sum((beat) => beat.lookups), sum((beat) => beat.hits)];
  const pending = figures.hosts.reduce((total, host) => total + host.pending, 0);
  const rate = lookups === 0 ? "-" : `${Math.round((100 * hits) / lookups)}%`;
  return [
    `Workers: ${workers.length} (${busy} busy, ${workers.length - busy} idle)`,
    `Queue: ${pending} pending`,
    `Throughput: ${sum((beat) => beat.ended)} actions/min`,
    `Cache hit rate: ${rate}`,
  ];
}

/** The whole screen in a terminal of this size. */
export function watchLines(
  watched: Watched,
  size: { readonly columns: number; readonly rows: number },
): string[] {
  // The last column stays free: a character there makes some terminals begin a line.
  const width = Math.max(1, size.columns - 1);
  const { figures } = watched;
  const box = boxLines(watched, width);
  const hosts = figures.hosts.length < 2 ? [] : ["", ...figures.hosts.map(hostLine)];
  const troubles = troubleLines(figures.troubles, width);
  const foot = ["", "q quits"];
  const room = size.rows - 1 - box.length - hosts.length - troubles.length - foot.length;
  const lines = [...box, ...hosts, ...runningLines(watched, room), ...troubles, ...foot];
  return lines.slice(0, Math.max(1, size.rows - 1)).map((line) => cutMiddle(line, width));
}

/** What is shown while a node does not answer. */
export function awayLines(why: string, sinceMs: number, columns: number): string[] {
  const width = Math.max(1, columns - 1);
  const text = `The node does not answer for ${formatMs(sinceMs)}; asking again every second.`;
  return [text, oneLine(why), "", "q quits"].map((line) => cutMiddle(line, width));
}

/** A curve of eight heights, the highest value the full one; `width` newest values. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const top = Math.max(1, ...shown);
  const bars = "▁▂▃▄▅▆▇█";
  return shown.map((value) => bars[Math.min(7, Math.ceil((7 * value) / top))] ?? "▁").join("");
}

function boxLines(watched: Watched, width: number): string[] {
  const figures = watchFigures(watched);
  const inner = Math.max(33, ...figures.map((line) => textWidth(line) + 2));
  // The curves need a column of their own: without room there are none.
  const curves = Math.min(60, width - inner - 4);
  const perSecond = (of: "ended" | "queued") => {
    const hosts = watched.figures.hosts.map(({ beats }) => beats.map((beat) => beat[of]));
    return Array.from({ length: 60 }, (_, back) =>
      hosts.reduce((sum, values) => sum + (values.at(back - 60) ?? 0), 0),
    );
  };
  const curve = (name: string) =>
    name === "" || curves < 10
      ? ""
      : `  ${sparkline(perSecond(name === "Queue" ? "queued" : "ended"), curves)}`;
  const body = figures.map((line) => {
    const named = /^(Queue|Throughput)/.exec(line)?.[1] ?? "";
    const space = " ".repeat(inner - 1 - textWidth(line));
    return `│ ${line}${space}│${curve(named)}`;
  });
  return [`┌${"─".repeat(inner)}┐`, ...body, `└${"─".repeat(inner)}┘`];
}

function hostLine(host: MeshFigures["hosts"][number]): string {
  const name = oneLine(host.name);
  if (host.silent) return `${name}: silent`;
  const own = host.workers.filter(({ home }) => home === host.peer);
  const slots = own.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = slots - own.reduce((sum, worker) => sum + worker.free, 0);
  const lag = host.lagMs >= 100 ? `, held up ${formatMs(host.lagMs)}` : "";
  return `${name}: ${busy} of ${slots} slots busy, ${host.pending} pending, ${host.executing} running${lag}`;
}

function runningLines({ running }: Watched, room: number): string[] {
  const { actions, total } = running;
  if (actions.length === 0 || room < 3) return [];
  const fits = Math.min(runningMax, room - 2, actions.length);
  const shown = actions.slice(0, fits);
  const lines = shown.map(({ runMs, worker, kind, stolen }) => {
    const where = `${worker}${stolen ? " (stolen)" : ""}`;
    return `${formatMs(runMs).padStart(7)} ${oneLine(where)}  ${oneLine(kind)}`;
  });
  const more = total - shown.length;
  return ["", ...lines, ...(more > 0 ? [`        and ${more} more`] : [])];
}
