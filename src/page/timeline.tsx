// The picture of one build: the chain of waits, and what each worker did when.

import type { BuildProfile, Lane } from "../wire/gen/builder/node/v1/insight.ts";
import { phases, sumOf } from "./phases.tsx";
import { name, time } from "./text.ts";

type Bar = Lane["bars"][number];

const rowHeight = 26;
/** The picture is so many units wide, however wide it is shown; no bar is narrower than one. */
const units = 1000;
/** Bars longer than this part of the picture are told apart by their edges. */
const apart = 150;

/** Draws a build; bounded by what the node tells. */
export function Timeline({ build }: { readonly build: BuildProfile }) {
  const { path, lanes, wallMs, lanesLeftOut } = build;
  const rows = [{ worker: "waited for in turn", bars: path?.bars ?? [] }, ...lanes];
  const height = rows.length * rowHeight;
  const words =
    `${build.ran + build.running} actions in ${time(wallMs)} on ` +
    `${lanes.filter(({ worker }) => worker !== "").length} workers`;
  if (lanes.length === 0) return <p>Nothing has run yet.</p>;
  return (
    <figure>
      <figcaption class="quiet">
        {words}. A thin line is a wait, a bar a run, underlined where others waited for it; ✕
        failed, ⇄ was taken by another host's worker, … runs.
        {lanesLeftOut > 0 && ` ${lanesLeftOut} more rows are left out.`}
      </figcaption>
      <svg
        class="timeline"
        width="100%"
        height={height}
        role="img"
        aria-label={`${words}; the tables tell the same`}
      >
        <svg
          aria-hidden="true"
          width="100%"
          height={height}
          viewBox={`0 0 ${units} ${height}`}
          preserveAspectRatio="none"
        >
          <Shapes rows={rows} wallMs={wallMs} />
        </svg>
        {rows.map(({ worker, bars }, row) => (
          <g key={row} class={row === 0 ? "chain" : "lane"}>
            {worker !== "" && (
              <line class="edge" x1="0" x2="100%" y1={row * rowHeight} y2={row * rowHeight} />
            )}
            {bars.map((bar) => (
              <Touched key={`${bar.fromMs} ${bar.toMs}`} bar={bar} row={row} wallMs={wallMs} />
            ))}
            <text class="label" x="2" y={row * rowHeight + 9}>
              {name(worker)}
            </text>
          </g>
        ))}
      </svg>
    </figure>
  );
}

/** All bars of one look as one shape, so that thousands are a few elements. */
function Shapes({ rows, wallMs }: { readonly rows: readonly Lane[]; readonly wallMs: number }) {
  const shapes = new Map<string, string[]>();
  const add = (look: string, fromMs: number, toMs: number, y: number, height: number) => {
    if (toMs <= fromMs) return;
    const x = unitsOf(fromMs, wallMs);
    const wide = Math.max(1, unitsOf(toMs, wallMs) - x).toFixed(2);
    const shape = `M${x.toFixed(2)} ${y}h${wide}v${height}h-${wide}z`;
    shapes.set(look, [...(shapes.get(look) ?? []), shape]);
  };
  for (const [row, { bars }] of rows.entries()) {
    const top = row * rowHeight;
    for (const bar of bars) {
      add("wait", bar.fromMs - bar.waitMs, bar.fromMs, top + 16, 2);
      add(
        bar.failed ? "busy failed" : "busy",
        bar.fromMs,
        Math.max(bar.toMs, bar.fromMs + 1),
        top + 12,
        11,
      );
      if (row > 0 && bar.onPath) add("on-path", bar.fromMs, bar.toMs + 1, top + 24, 2);
      let atMs = bar.fromMs;
      for (const { look, of } of phases.slice(1, -1)) {
        add(look, atMs, atMs + of(bar), top + 12, 11);
        atMs += of(bar);
      }
    }
  }
  const order = ["wait", "busy", ...phases.slice(1, -1).map(({ look }) => look)];
  return (
    <>
      {[...order, "busy failed", "on-path"].map((look) => (
        <path key={look} class={look} d={(shapes.get(look) ?? []).join("")} />
      ))}
    </>
  );
}

/** What a pointer finds, and the marks, which must not be stretched. */
function Touched({
  bar,
  row,
  wallMs,
}: {
  readonly bar: Bar;
  readonly row: number;
  readonly wallMs: number;
}) {
  const at = (ms: number) => `${(unitsOf(ms, wallMs) / (units / 100)).toFixed(2)}%`;
  const mark = `${bar.failed ? "✕" : ""}${bar.stolen ? "⇄" : ""}${bar.running ? "…" : ""}`;
  return (
    <>
      <rect
        class={(bar.toMs - bar.fromMs) * apart > wallMs ? "bar apart" : "bar"}
        x={at(bar.fromMs)}
        y={row * rowHeight + 11}
        width={at(Math.max(wallMs / units, bar.toMs - bar.fromMs))}
        height="12"
      >
        <title>{inWords(bar)}</title>
      </rect>
      {mark !== "" && (
        <text x={at(bar.fromMs)} y={row * rowHeight + 22} dx="2">
          {mark}
        </text>
      )}
    </>
  );
}

const unitsOf = (ms: number, wallMs: number) =>
  (units * Math.min(wallMs, Math.max(0, ms))) / Math.max(1, wallMs);

function inWords(bar: Bar): string {
  const { actions, kind, fromMs, toMs } = bar;
  const what = actions === 1 ? kind : `${actions} actions, the longest ${kind}`;
  const spent = phases
    .filter(({ of }) => of(bar) > 0)
    .map((one) => `${one.title} ${time(one.of(bar))}`);
  const state = `${bar.failed ? ", failed" : ""}${bar.running ? ", runs" : ""}`;
  const took = actions === 1 ? toMs - fromMs : sumOf(bar);
  return name(`${what}: ${time(took)} from ${time(fromMs)} on${state}; ${spent.join(", ")}`);
}
