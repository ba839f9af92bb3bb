// One build over time: what each worker ran, and how long it had waited.

import type { ActionLine } from "../wire/gen/builder/node/v1/insight.ts";
import { Heads } from "./heads.tsx";
import { name, time } from "./text.ts";

/** What is drawn. */
export interface TimelineProps {
  /** Actions of one build. */
  readonly lines: readonly ActionLine[];
}

/** Bounds of what is drawn: the longest actions, and the first rows. */
const barsMax = 400;
const rowsMax = 80;
const rowHeight = 22;
const longest = 10;

/** When an action was what, in ms before now. */
interface Bar {
  readonly line: ActionLine;
  readonly acceptedMs: number;
  readonly boundMs: number;
  readonly endMs: number;
}

interface Row {
  /** Empty below the first row of a worker. */
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** Draws it, and says the longest in a table. */
export function Timeline({ lines }: TimelineProps) {
  const ran = lines
    .filter(({ worker, state }) => worker !== "" && state !== "cached" && state !== "queued")
    .map(barOf);
  const cached = lines.filter(({ state }) => state === "cached").length;
  const waiting = lines.filter(({ state }) => state === "queued").length;
  const shown = byLength(ran).slice(0, barsMax);
  const rows = rowsOf(shown);
  const beginMs = Math.max(1, ...ran.map(({ acceptedMs }) => acceptedMs));
  const endMs = Math.min(beginMs - 1, ...ran.map((bar) => bar.endMs));
  const at = (ms: number) => `${((100 * (beginMs - ms)) / (beginMs - endMs)).toFixed(2)}%`;
  const wide = (from: number, to: number) =>
    `${Math.max(0.15, (100 * (from - to)) / (beginMs - endMs)).toFixed(2)}%`;
  const words =
    `${ran.length} actions in ${time(beginMs - endMs)}, ${cached} more were in the cache, ` +
    `${waiting} wait`;
  return (
    <section aria-labelledby="timeline">
      <h3 id="timeline">Over time</h3>
      <p class="quiet">
        {words}. A thin line is a wait, a bar a run; ✕ failed, ⇄ was taken by another host's worker.
        {shown.length < ran.length && ` The ${barsMax} longest are drawn.`}
        {rows.length > rowsMax && ` The first ${rowsMax} of ${rows.length} rows are drawn.`}
      </p>
      {ran.length > 0 && (
        <svg
          class="timeline"
          width="100%"
          height={Math.min(rows.length, rowsMax) * rowHeight}
          role="img"
          aria-label={`${words}; the table below names the longest`}
        >
          {rows.slice(0, rowsMax).map(({ title, bars }, row) => (
            <g key={row}>
              {title !== "" && (
                <line class="edge" x1="0" x2="100%" y1={row * rowHeight} y2={row * rowHeight} />
              )}
              {bars.map((bar) => {
                const { line } = bar;
                const y = row * rowHeight;
                const failed = line.state === "failed" || (line.exitCode ?? 0) !== 0;
                return (
                  <g key={keyOf(line)} class={failed ? "failed" : line.stolen ? "stolen" : ""}>
                    <title>{inWords(line)}</title>
                    <rect
                      class="wait"
                      x={at(bar.acceptedMs)}
                      y={y + 13}
                      width={wide(bar.acceptedMs, bar.boundMs)}
                      height="2"
                    />
                    <rect
                      class="run"
                      x={at(bar.boundMs)}
                      y={y + 8}
                      width={wide(bar.boundMs, bar.endMs)}
                      height="12"
                    />
                    <text x={at(bar.boundMs)} y={y + 18} dx="2">
                      {failed ? "✕" : line.stolen ? "⇄" : ""}
                    </text>
                  </g>
                );
              })}
              <text class="label" x="2" y={row * rowHeight + 9}>
                {name(title)}
              </text>
            </g>
          ))}
        </svg>
      )}
      <Longest bars={shown.slice(0, longest)} />
    </section>
  );
}

function Longest({ bars }: { readonly bars: readonly Bar[] }) {
  if (bars.length === 0) return null;
  return (
    <div class="wide">
      <table>
        <caption>The longest</caption>
        <Heads names={["Action", "Worker", "Waited", "Ran", "State"]} />
        <tbody>
          {bars.map(({ line, boundMs, endMs }) => (
            <tr key={keyOf(line)}>
              <th scope="row">
                <bdi>{name(line.kind)}</bdi>
              </th>
              <td>
                <bdi>{name(line.worker)}</bdi>
              </td>
              <td class="number">{time(line.waitMs)}</td>
              <td class="number">{time(boundMs - endMs)}</td>
              <td>{line.state}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const keyOf = ({ host, action, operation }: ActionLine) => `${host} ${action} ${operation}`;

function barOf(line: ActionLine): Bar {
  const { ageMs, stateMs, waitMs, state } = line;
  const endMs = state === "running" ? 0 : Math.min(stateMs, ageMs);
  return { line, acceptedMs: ageMs, boundMs: Math.max(endMs, ageMs - waitMs), endMs };
}

function byLength(bars: readonly Bar[]): Bar[] {
  return bars.toSorted((a, b) => b.boundMs - b.endMs - (a.boundMs - a.endMs));
}

/** Of each worker as many rows as it ran actions at once. */
function rowsOf(bars: readonly Bar[]): Row[] {
  const rowsByWorker = new Map<string, Bar[][]>();
  for (const bar of bars.toSorted((a, b) => b.boundMs - a.boundMs)) {
    const rows = rowsByWorker.get(bar.line.worker) ?? [];
    rowsByWorker.set(bar.line.worker, rows);
    const free = rows.find((row) => (row.at(-1)?.endMs ?? Infinity) >= bar.boundMs);
    if (free === undefined) rows.push([bar]);
    else free.push(bar);
  }
  return [...rowsByWorker]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([worker, rows]) =>
      rows.map((row, at) => ({ title: at === 0 ? worker : "", bars: row })),
    );
}

function inWords({ kind, worker, waitMs, runMs, state }: ActionLine): string {
  return name(`${kind}: ${state} on ${worker}, waited ${time(waitMs)}, ran ${time(runMs)}`);
}
