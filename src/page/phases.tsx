// The phases of actions: their names, their colours, and where a build's time went by them.

import type { BuildProfile } from "../wire/gen/builder/node/v1/insight.ts";
import { name, share, time } from "./text.ts";

/** How long each phase took, ms. */
export interface PhaseTimes {
  readonly waitMs: number;
  readonly fetchMs: number;
  readonly setUpMs: number;
  readonly runMs: number;
  readonly storeMs: number;
  /** Known of whole builds alone. */
  readonly returnMs?: number;
}

/** In their order; `look` is a class of the style sheet. */
export const phases: readonly {
  readonly title: string;
  readonly look: string;
  readonly of: (times: PhaseTimes) => number;
}[] = [
  { title: "wait", look: "wait", of: ({ waitMs }) => waitMs },
  { title: "fetch", look: "fetch", of: ({ fetchMs }) => fetchMs },
  { title: "set-up", look: "set-up", of: ({ setUpMs }) => setUpMs },
  { title: "run", look: "run", of: ({ runMs }) => runMs },
  { title: "store", look: "store", of: ({ storeMs }) => storeMs },
  { title: "return", look: "busy", of: ({ returnMs = 0 }) => returnMs },
];

/** All phases but the wait. */
export function sumOf(times: PhaseTimes): number {
  return phases.slice(1).reduce((sum, { of }) => sum + of(times), 0);
}

/** The short table beside the picture. */
export function BuildFigures({ build }: { readonly build: BuildProfile }) {
  const all = build.waitMs + sumOf(build);
  return (
    <div class="figures">
      <table>
        <caption>Where the time went</caption>
        <tbody>
          <Line head="Build">
            <span id="build-wall">{time(build.wallMs)}</span>: {build.ran} ran
            {build.failed > 0 && <span class="bad">, {build.failed} failed</span>}
            {build.running > 0 && `, ${build.running} run`}
            {build.queued > 0 && `, ${build.queued} wait`}, {build.cached} from the cache
          </Line>
          <Line head="At once">
            {build.atOnceMean.toFixed(1)} commands on average, {build.atOnceMost} at most
          </Line>
          <Line head="Cache saved">{time(build.savedMs)} of commands</Line>
          {phases.map(({ title, look, of }) => (
            <Line key={title} head={title} look={look}>
              <span id={`build-${look}`}>{time(of(build))}</span> ({share(of(build), all)})
            </Line>
          ))}
        </tbody>
      </table>
      <table>
        <caption>
          Waited for in turn: {build.pathActions} actions, {time(build.pathMs)} (
          {share(build.pathMs, build.wallMs)})
        </caption>
        <tbody>
          {build.pathLongest.map((one) => (
            <Line key={`${one.action} ${one.ageMs}`} head={time(one.ageMs - one.endedMs)}>
              <bdi>{name(one.kind)}</bdi>
            </Line>
          ))}
        </tbody>
      </table>
      <table>
        <caption>The longest commands</caption>
        <tbody>
          {build.slowest.map((one) => (
            <Line key={`${one.action} ${one.ageMs}`} head={time(one.runMs)}>
              <bdi>{name(one.kind)}</bdi> on <bdi>{name(one.worker)}</bdi>
            </Line>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({
  head,
  look,
  children,
}: {
  readonly head: string;
  readonly look?: string;
  readonly children: preact.ComponentChildren;
}) {
  return (
    <tr>
      <th scope="row" class="number">
        {look !== undefined && <span class={`swatch ${look}`} aria-hidden="true" />} {head}
      </th>
      <td>{children}</td>
    </tr>
  );
}
