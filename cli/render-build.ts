// The screen of `builder remote profile`, as a pure function: where a build's time went.

import type { BuildProfile } from "../src/node/insight-client.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { silentLine } from "./render-figures.ts";
import { cutMiddle, oneLine } from "./text-width.ts";

/** At most 25 lines of at most `width` columns. */
export function buildProfileLines(build: BuildProfile, width: number): string[] {
  const share = Math.round((100 * build.pathMs) / Math.max(1, build.wallMs));
  const lines = [
    `Invocation ${build.invocation}`,
    row("Build", `${formatMs(build.wallMs)}, ${counts(build)}`),
    row(
      "At once",
      `${build.atOnceMean.toFixed(1)} commands on average, ${build.atOnceMost} at most`,
    ),
    row("Phases", phaseWords(build)),
    row(
      "In turn",
      `${build.pathActions} actions, ${formatMs(build.pathMs)} (${share} % of the build)`,
    ),
    ...build.pathLongest.map((one) => item(one.ageMs - one.endedMs, one.kind)),
    row("Slowest", ""),
    ...build.slowest
      .slice(0, slowestMax)
      .map((one) => item(one.runMs, `${one.kind} on ${one.worker}`)),
    row("Cache saved", `${formatMs(build.savedMs)} of commands`),
    ...(build.cut ? ["More of its actions are remembered than are counted here."] : []),
  ];
  return [...lines.map((line) => cutMiddle(oneLine(line), width)), ...silentLine(build.silent)];
}

/** The slowest actions that are shown; `--json` has more. */
const slowestMax = 5;

function counts({ ran, failed, running, queued, cached }: BuildProfile): string {
  const some = [
    { count: failed, word: "failed" },
    { count: running, word: "run" },
    { count: queued, word: "wait" },
  ].filter(({ count }) => count > 0);
  const more = some.map(({ count, word }) => `, ${count} ${word}`).join("");
  return `${ran} ran${more}, ${cached} from the cache`;
}

function phaseWords(build: BuildProfile): string {
  const { waitMs, fetchMs, setUpMs, runMs, storeMs, returnMs } = build;
  const spans = { wait: waitMs, fetch: fetchMs, "set-up": setUpMs, run: runMs, store: storeMs };
  return Object.entries({ ...spans, return: returnMs })
    .map(([name, ms]) => `${name} ${formatMs(ms)}`)
    .join(", ");
}

function item(ms: number, text: string): string {
  return `  ${formatMs(ms).padStart(11)}  ${text}`;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(13)} ${text}`.trimEnd();
}
