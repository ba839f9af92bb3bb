// The report: one HTML file that needs nothing else, in light and dark.

import { type MeanSummary, meanOf, paretoFront, regret } from "./front.ts";
import {
  type ChartPoint,
  escaped,
  frontChart,
  ganttChart,
  hourMs,
  lineChart,
} from "./report-charts.ts";
import type { Comparison, Played } from "./simulate.ts";
import { workloadSize } from "./workload.ts";

const style = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#59636e;--grid:#e3e6ea;
--card:#f6f7f9;--c1:#0b63ce;--c2:#c2570c;--c3:#6d28a8;--c4:#8a929b;--boot:#e0b400;
--spot:#3d9e6d;--lost:#c62828}@media (prefers-color-scheme:dark){:root{--bg:#12161b;
--fg:#e4e8ec;--dim:#98a3ae;--grid:#2a313a;--card:#1a2027;--c1:#6cb0ff;--c2:#f59a52;--c3:#c79bf2;
--c4:#7d8893;--boot:#d9b72f;--spot:#63c795;--lost:#ff6f66}}*{box-sizing:border-box}body{
margin:0 auto;padding:24px 20px 60px;max-width:1040px;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,sans-serif}h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;
margin:36px 0 8px}p{margin:4px 0;color:var(--dim)}.table{overflow-x:auto}table{
border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}th,td{
padding:5px 6px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}th{
white-space:normal;color:var(--dim);font-weight:600;vertical-align:bottom}
th:first-child,td:first-child{text-align:left}tr.ours td{font-weight:700;background:var(--card)}
figure{margin:18px 0}svg{display:block;width:100%;height:auto}figcaption{font-weight:600;
display:flex;flex-wrap:wrap;gap:4px 20px;justify-content:space-between}.legend{display:flex;
flex-wrap:wrap;gap:4px 14px;font-weight:400;color:var(--dim);font-size:13px}.legend i{
display:inline-block;width:14px;height:3px;margin-right:5px;vertical-align:middle}
.legend i.dot,.legend i.bar{width:10px;height:10px}.legend i.dot{border-radius:50%}.grid{
stroke:var(--grid);stroke-width:1}.tick,.name{font:12px system-ui,sans-serif;fill:var(--dim)}
.name{fill:var(--fg)}.name.ours{font-weight:700}.line,.front{fill:none;stroke-width:1.4;
stroke-linejoin:round}.line{opacity:.6}.line.c1{stroke-width:2.2;opacity:1}.front{
stroke-width:1.5;stroke-dasharray:5 4}.front.ours{stroke:var(--c1)}.front.oracle{
stroke:var(--c4)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{
stroke:var(--c4)}i.c1,i.dot.ours{background:var(--c1)}i.c2,i.dot.other{background:var(--c2)}
i.c3{background:var(--c3)}i.c4,i.dot.oracle{background:var(--c4)}i.dot.swept{
background:var(--c1);opacity:.4}.dot.ours{fill:var(--c1)}.dot.other{fill:var(--c2)}.dot.oracle{
fill:var(--c4)}.dot.swept{fill:var(--c1);opacity:.4}.bar.boot{fill:var(--boot);
background:var(--boot)}.bar.on-demand{fill:var(--c1);background:var(--c1)}.bar.spot{
fill:var(--spot);background:var(--spot)}.bar.owned{fill:var(--c4);background:var(--c4)}
.bar.lost{fill:var(--lost);background:var(--lost)}
`;

/** The whole page. */
export function renderReport(comparison: Comparison): string {
  const { scenario, played, seeds } = comparison;
  const { workload, bounds } = scenario;
  const work =
    workload.durationsMs.reduce((sum, ms) => sum + ms, 0) / hourMs / bounds.slotsPerMachine;
  const named =
    seeds.length === 1 ? `seed ${seeds[0]}` : `means of seeds ${seeds[0]} to ${seeds.at(-1)}`;
  const body = [
    `<h1>${escaped(scenario.name)}</h1>`,
    `<p>${escaped(workload.name)}: ${workloadSize(workload)}, ${work.toFixed(1)} worker-hours of work.</p>`,
    `<p>${bounds.min} to ${bounds.max} machines of ${bounds.slotsPerMachine} slots that boot in ` +
      `${scenario.boot.minMs / 1000} to ${scenario.boot.maxMs / 1000} s; target wait ` +
      `${bounds.targetWaitMs / 1000} s; ${named}.</p>`,
    "<h2>Policies</h2>",
    table(comparison),
    "<p>Regret: worker-hours over those of an oracle, which knows the future, for the same p95 wait. " +
      "Flaps: machines launched within five minutes after others were let go; the worst seed's.</p>",
    "<h2>Wait against hours</h2>",
    front(comparison),
    `<h2>Over time</h2><p>Seed ${seeds[0]}.</p>`,
    ...overTime(drawn(played)),
    "<h2>Machines</h2>",
    ...played.slice(0, 1).map(({ contender, first }) => {
      const endMs = Math.max(scenario.durationMs, first.makespanMs);
      return ganttChart(`Lives of machines under ${contender.name}`, first.machines, endMs);
    }),
    "<h2>Who is who</h2>",
    `<ul>${played.map(about).join("")}</ul>`,
  ].join("\n");
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1">` +
    `<title>${escaped(scenario.name)}: scaling policies</title><style>${style}</style></head>` +
    `<body>\n${body}\n</body></html>\n`
  );
}

function about({ contender }: Played): string {
  return `<li><b>${escaped(contender.name)}</b>: ${escaped(contender.about)}</li>`;
}

function table({ played, oracles }: Comparison): string {
  const head = [
    ...["policy", "wait p50 (s)", "wait p95 (s)", "wait p99 (s)", "build p95 (s)", "stretch p95"],
    ...[
      "worker-hours",
      "cost",
      "regret",
      "launches",
      "flaps/day",
      "idle",
      "repeated",
      "busy killed",
    ],
  ];
  const rows = played.map(
    ({ mean }) =>
      `<tr${mean.name === "builder" ? ' class="ours"' : ""}>${cells(mean, oracles)}</tr>`,
  );
  const heads = head.map((text) => `<th>${text}</th>`).join("");
  return `<div class="table"><table><thead><tr>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function cells(mean: MeanSummary, oracles: readonly MeanSummary[]): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  const percent = (share: number, digits = 0) => `${(share * 100).toFixed(digits)}%`;
  const share = regret(mean, oracles);
  const texts = [
    ...[
      escaped(mean.name),
      seconds(mean.waitP50Ms),
      seconds(mean.waitP95Ms),
      seconds(mean.waitP99Ms),
    ],
    ...[seconds(mean.buildP95Ms), mean.stretchP95.toFixed(1), mean.workerHours.toFixed(1)],
    ...[mean.cost.toFixed(2), share === undefined ? "–" : percent(share), mean.launches.toFixed(0)],
    ...[mean.flapsPerDay.toFixed(1), percent(mean.idleShare), percent(mean.repeatedShare, 1)],
    mean.busyKilled.toFixed(0),
  ];
  return texts.map((text) => `<td>${text}</td>`).join("");
}

function front({ played, oracles, swept }: Comparison): string {
  const place = (mean: MeanSummary, kind: ChartPoint["kind"], isNamed: boolean): ChartPoint => {
    return { name: mean.name, kind, x: mean.workerHours, y: mean.waitP95Ms / 1000, isNamed };
  };
  // A policy that always has all or nothing would squeeze the others into a corner.
  const most =
    1.6 *
    Math.max(
      1,
      ...played.flatMap(({ mean, contender }) =>
        contender.name === "fixed-max" ? [] : [mean.workerHours],
      ),
    );
  const shown = played.filter(
    ({ mean }) => mean.workerHours <= most && !mean.name.startsWith("oracle"),
  );
  const sweptMeans = swept.map((point) => meanOf(point.label, point.runs));
  const own = shown.map(({ mean }) =>
    place(mean, mean.name === "builder" ? "ours" : "other", true),
  );
  const knowing = oracles.map((mean) => place(mean, "oracle", mean.name === "oracle"));
  const grid = sweptMeans.map((mean) => place(mean, "swept", false));
  const frontOf = paretoFront(sweptMeans).map((mean) => place(mean, "swept", false));
  const order = paretoFront(oracles).map((mean) => place(mean, "oracle", false));
  return frontChart([...grid, ...knowing, ...own], frontOf, order);
}

/** Those whose lines are drawn, by their colours: more cannot be told apart. */
function drawn(played: readonly Played[]): ReadonlyMap<string, Played> {
  const preferred = ["builder", "queue-count", "hpa-70"];
  const find = (name: string) => played.filter(({ contender }) => contender.name === name);
  const found = preferred.flatMap(find);
  const chosen = found.length >= 2 ? found : played.slice(0, 3);
  const byColor = new Map(chosen.map((one, at) => [`c${at + 1}`, one]));
  const [oracle] = find("oracle");
  return oracle === undefined || found.length < 2 ? byColor : byColor.set("c4", oracle);
}

function overTime(byColor: ReadonlyMap<string, Played>): string[] {
  // The last one lies on top: that is ours.
  const order = [...byColor].reverse();
  const lines = (of: (one: Played) => readonly number[], entries = order) =>
    entries.map(([color, one]) => {
      return { name: one.contender.name, color, xs: one.first.series.atMs, ys: of(one) };
    });
  // The oracle has queues of nothing, and its machines come and go with every build.
  const seen = order.filter(([color]) => color !== "c4");
  return [
    lineChart(
      "Queue: most actions waiting at once",
      "actions",
      lines(({ first }) => first.series.queued, seen),
    ),
    lineChart(
      "Workers: machines that are ready",
      "machines",
      lines(({ first }) => first.series.ready, seen),
    ),
    lineChart(
      "Wait: longest wait of an action that started then",
      "s",
      lines(({ first }) => first.series.waitMs.map((ms) => ms / 1000), seen),
    ),
    lineChart(
      "Cost: spent until then",
      "in the scenario's currency",
      lines(({ first }) => first.series.cost),
    ),
  ];
}
