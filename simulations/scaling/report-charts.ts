// Charts as SVG text: lines over time, points with a front, lives of machines. Colours are CSS
// variables of the page, so that light and dark need no second drawing.

import type { MachineLife } from "./machine-park.ts";

/** One line of a chart. */
export interface ChartLine {
  readonly name: string;
  /** A class of the page's style: `c1` to `c4`. */
  readonly color: string;
  readonly xs: readonly number[];
  readonly ys: readonly number[];
}

/** One point of a plane. */
export interface ChartPoint {
  readonly name: string;
  readonly kind: "ours" | "other" | "oracle" | "swept";
  readonly x: number;
  readonly y: number;
  readonly isNamed: boolean;
}

const width = 960;
const left = 56;
const right = 16;
const top = 12;
const bottom = 30;

/** Hours from ms, as axes and tables have them. */
export const hourMs = 3_600_000;

/** Values over time in ms. */
export function lineChart(title: string, unit: string, lines: readonly ChartLine[]): string {
  const height = 220;
  const xMax = Math.max(1, ...lines.map(({ xs }) => xs.at(-1) ?? 0));
  const yMax = Math.max(1e-9, ...lines.flatMap(({ ys }) => ys.reduce((a, b) => Math.max(a, b), 0)));
  const xTicks = timeTicks(xMax);
  const yTicks = ticks(yMax);
  const x = scale(0, xMax, left, width - right);
  const y = scale(0, Math.max(yMax, yTicks.at(-1) ?? 0), height - bottom, top);
  const paths = lines.map(({ name, color, xs, ys }) => {
    const steps = xs.map((at, i) => `${i === 0 ? "M" : "L"}${x(at)} ${y(ys[i] ?? 0)}`).join("");
    return `<path class="line ${color}" d="${steps}"><title>${escaped(name)}</title></path>`;
  });
  const legend = [...lines]
    .reverse()
    .map(({ name, color }) => `<span><i class="${color}"></i>${escaped(name)}</span>`);
  return figure(
    `${title} (${unit})`,
    legend.join(""),
    svg(height, `${title} over time`, [
      ...yAxis(yTicks, y),
      ...xTicks.map((tick) => xTick(x(tick), height, timeText(tick))),
      ...paths,
    ]),
  );
}

/** Hours to the right, waits upwards on a logarithmic scale; the front is a line. */
export function frontChart(
  points: readonly ChartPoint[],
  front: readonly ChartPoint[],
  knowing: readonly ChartPoint[],
): string {
  const height = 420;
  const xMax = Math.max(1, ...points.map(({ x }) => x)) * 1.04;
  // Waits below 0.1 s are drawn as 0.1 s: nobody can tell them apart.
  const level = (seconds: number) => Math.log10(Math.max(0.1, seconds));
  const yMax = Math.max(1, ...points.map((point) => level(point.y))) + 0.1;
  const x = scale(0, xMax, left, width - right);
  const y = scale(-1, yMax, height - bottom, top);
  const powers = Array.from({ length: Math.ceil(yMax) + 1 }, (_, at) => at - 1);
  const yTicks = powers.flatMap((power) => [1, 2, 5].map((by) => by * 10 ** power));
  const drawn = yTicks.filter((tick) => level(tick) <= yMax);
  const path = (list: readonly ChartPoint[], kind: string) => {
    const steps = list
      .map((at, i) => `${i === 0 ? "M" : "L"}${x(at.x)} ${y(level(at.y))}`)
      .join("");
    return `<path class="front ${kind}" d="${steps}"/>`;
  };
  const order = { swept: 0, oracle: 1, other: 2, ours: 3 };
  const dots = [...points]
    .sort((a, b) => order[a.kind] - order[b.kind])
    .map((at) => dot(at, x(at.x), y(level(at.y))));
  const names = spread(
    points
      .filter(({ isNamed }) => isNamed)
      .map((at) => ({
        ...{ name: at.name, kind: at.kind, x: x(at.x), y: y(level(at.y)) },
      })),
  );
  const legend = [
    ...[
      '<span><i class="dot ours"></i>ours</span>',
      '<span><i class="dot other"></i>others</span>',
    ],
    ...[
      '<span><i class="dot oracle"></i>oracle</span>',
      '<span><i class="dot swept"></i>swept</span>',
    ],
  ];
  return figure(
    "p95 wait (s, logarithmic) against worker-hours: left and low is better",
    legend.join(""),
    svg(height, "Waits against worker-hours", [
      ...drawn.map((tick) => yLine(y(level(tick)), tick < 1 ? tick.toFixed(1) : `${tick}`)),
      ...ticks(xMax)
        .filter((tick) => tick <= xMax)
        .map((tick) => xTick(x(tick), height, `${tick}`)),
      path(knowing, "oracle"),
      path(front, "ours"),
      ...dots,
      ...names,
    ]),
  );
}

/** Each machine a bar from its launch to its end: booting, ready, how it ended. */
export function ganttChart(title: string, lives: readonly MachineLife[], endMs: number): string {
  const shown = lives.slice(0, 400);
  const rowPx = shown.length > 120 ? 3 : shown.length > 40 ? 6 : 12;
  const height = top + bottom + shown.length * rowPx;
  const x = scale(0, Math.max(1, endMs), left, width - right);
  const bars = shown.map((life, at) => {
    const y = top + at * rowPx;
    const h = Math.max(2, rowPx - 1);
    const readyMs = life.readyAtMs ?? life.goneAtMs ?? endMs;
    const goneMs = life.goneAtMs ?? endMs;
    const busy = Math.round(life.busyMs / 1000);
    const text =
      `machine ${life.number}, ${life.isOwned ? "owned" : life.market}: ` +
      `${timeText(life.launchedAtMs)} to ${timeText(goneMs)}, ${busy} s of slots busy` +
      (life.end === undefined ? "" : `, ${life.end}`);
    const end = life.end === "interrupted" ? bar(x(goneMs), x(goneMs) + 3, y, h, "lost") : "";
    return (
      `<g><title>${escaped(text)}</title>` +
      bar(x(life.launchedAtMs), x(readyMs), y, h, "boot") +
      bar(x(readyMs), x(goneMs), y, h, life.isOwned ? "owned" : life.market) +
      `${end}</g>`
    );
  });
  const more = lives.length > shown.length ? ` (the first ${shown.length} of ${lives.length})` : "";
  const legend = [
    ...[
      '<span><i class="bar boot"></i>booting</span>',
      '<span><i class="bar on-demand"></i>on demand</span>',
    ],
    ...[
      '<span><i class="bar spot"></i>spot</span>',
      '<span><i class="bar lost"></i>interrupted</span>',
      '<span><i class="bar owned"></i>owned</span>',
    ],
  ];
  return figure(
    `${title}${more}`,
    legend.join(""),
    svg(height, title, [
      ...timeTicks(endMs).map((tick) => xTick(x(tick), height, timeText(tick))),
      ...bars,
    ]),
  );
}

/** Text as HTML. */
export function escaped(text: string): string {
  const codes: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replaceAll(/[&<>"]/g, (character) => codes[character] ?? "");
}

function figure(title: string, legend: string, drawing: string): string {
  return `<figure><figcaption>${escaped(title)}<div class="legend">${legend}</div></figcaption>${drawing}</figure>`;
}

function svg(height: number, label: string, parts: readonly string[]): string {
  const box = `viewBox="0 0 ${width} ${height}"`;
  return `<svg ${box} role="img" aria-label="${escaped(label)}">${parts.join("")}</svg>`;
}

function scale(from: number, to: number, fromPx: number, toPx: number): (value: number) => number {
  return (value) =>
    Math.round((fromPx + ((value - from) / (to - from)) * (toPx - fromPx)) * 10) / 10;
}

function yAxis(values: readonly number[], y: (value: number) => number): string[] {
  return values.map((value) => yLine(y(value), `${value}`));
}

function yLine(y: number, text: string): string {
  const line = `<line class="grid" x1="${left}" x2="${width - right}" y1="${y}" y2="${y}"/>`;
  return `${line}<text class="tick" x="${left - 6}" y="${y + 4}" text-anchor="end">${text}</text>`;
}

function xTick(x: number, height: number, text: string): string {
  const y = height - bottom;
  const line = `<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${y}"/>`;
  return `${line}<text class="tick" x="${x}" y="${y + 18}" text-anchor="middle">${text}</text>`;
}

function dot(point: ChartPoint, x: number, y: number): string {
  const title = `${point.name}: p95 wait ${point.y.toFixed(1)} s, ${point.x.toFixed(1)} worker-hours`;
  const radius = { swept: 3, oracle: 4, other: 5, ours: 6.5 }[point.kind];
  return `<circle class="dot ${point.kind}" cx="${x}" cy="${y}" r="${radius}"><title>${escaped(title)}</title></circle>`;
}

interface Label {
  readonly name: string;
  readonly kind: string;
  readonly x: number;
  y: number;
}

/** Names beside their points, moved apart where they would lie on each other. */
function spread(labels: Label[]): string[] {
  const placed: Label[] = [];
  for (const label of labels.sort((a, b) => a.y - b.y)) {
    for (const other of placed) {
      if (label.kind === "ours" || other.kind === "ours") continue;
      if (Math.abs(other.x - label.x) < 110 && label.y - other.y < 15) label.y = other.y + 15;
    }
    placed.push(label);
  }
  return placed.map(({ name, kind, x, y }) => {
    const y0 = kind === "ours" ? y - 12 : y + 4;
    // Ours is named above: its own front runs to both sides.
    if (kind === "ours") return label(name, kind, `x="${x}" text-anchor="middle"`, y0);
    const isRight = x > width - 130;
    return label(name, kind, isRight ? `x="${x - 10}" text-anchor="end"` : `x="${x + 10}"`, y0);
  });
}

function label(name: string, kind: string, at: string, y: number): string {
  return `<text class="name ${kind}" ${at} y="${y}">${escaped(name)}</text>`;
}

function bar(from: number, to: number, y: number, height: number, kind: string): string {
  const wide = Math.max(0.5, Math.round((to - from) * 10) / 10);
  return `<rect class="bar ${kind}" x="${from}" y="${y}" width="${wide}" height="${height}"/>`;
}

/** Four to eight round values from 0 on. */
function ticks(max: number): number[] {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((by) => by * power >= rough) ?? 10) * power;
  const count = Math.ceil(max / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(6)));
}

function timeTicks(endMs: number): number[] {
  const steps = [
    1_000,
    5_000,
    15_000,
    60_000,
    300_000,
    900_000,
    hourMs,
    3 * hourMs,
    6 * hourMs,
    24 * hourMs,
  ];
  const step = steps.find((one) => endMs / one <= 10) ?? 7 * 24 * hourMs;
  return Array.from({ length: Math.floor(endMs / step) + 1 }, (_, at) => at * step);
}

function timeText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h === 0) return `${m}:${`${s}`.padStart(2, "0")}`;
  return s === 0 || h >= 3 ? `${h} h${m === 0 ? "" : ` ${m}`}` : `${h}:${`${m}`.padStart(2, "0")}`;
}
