// A chart over time. What it draws stands in a sentence too, for those who cannot see it.

import { useEffect, useRef } from "preact/hooks";
import Plot from "uplot";

/** One line of a chart. */
export interface Line {
  readonly label: string;
  /** A colour of page.css, by the name of its variable. */
  readonly color: string;
  readonly values: readonly (number | null)[];
  /** Dashes tell lines apart without colours. */
  readonly dash?: readonly number[];
}

/** What is drawn. */
export interface ChartProps {
  readonly title: string;
  /** Unix ms. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
}

const height = 180;

/** Draws lines over the same times. */
export function Chart({ title, times, lines }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | undefined>(undefined);

  // Drawn anew where lines come or go, or the light changes; else only fed.
  const shape = lines.map(({ label }) => label).join();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const made = new Plot(optionsOf(element, lines), columns(times, lines), element);
    plot.current = made;
    const resize = new ResizeObserver(() =>
      made.setSize({ width: Math.max(200, element.clientWidth), height }),
    );
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, dark]);
  useEffect(() => plot.current?.setData(columns(times, lines)), [times, lines]);

  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={inWords(title, lines)} />
    </figure>
  );
}

function columns(times: readonly number[], lines: readonly Line[]): Plot.AlignedData {
  return [times.map((ms) => ms / 1000), ...lines.map(({ values }) => [...values])];
}

function inWords(title: string, lines: readonly Line[]): string {
  const now = lines.map(({ label, values }) => `${label} ${values.at(-1) ?? "unknown"}`);
  return `${title}; now ${now.join(", ")}`;
}

function optionsOf(element: HTMLElement, lines: readonly Line[]): Plot.Options {
  const style = getComputedStyle(element);
  const color = (variable: string) => style.getPropertyValue(variable).trim();
  const axis = {
    stroke: color("--quiet"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { stroke: color("--line"), width: 1 },
  };
  return {
    width: Math.max(200, element.clientWidth),
    height,
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [axis, { ...axis, size: 44 }],
    series: [
      {},
      ...lines.map(({ label, color: variable, dash }) => ({
        label,
        stroke: color(variable),
        width: 2,
        spanGaps: false,
        points: { show: false },
        ...(dash === undefined ? {} : { dash: [...dash] }),
      })),
    ],
  };
}
