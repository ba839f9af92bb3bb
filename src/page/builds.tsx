// Builds: whose actions run, wait and ended lately, one of them over time, and what tools told.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ActionLine, ActionList, BuildProfile } from "../wire/gen/builder/node/v1/insight.ts";
import type {
  Invocation,
  InvocationReport,
  InvocationSummary,
} from "../wire/gen/builder/node/v1/node.ts";
import { useAnswer } from "./asked.ts";
import type { Seen } from "./follow.ts";
import { Heads } from "./heads.tsx";
import { BuildFigures } from "./phases.tsx";
import { clock, name, time } from "./text.ts";
import { Timeline } from "./timeline.tsx";

/** What the node tells at once, and how long after an answer it is asked again. */
const limit = 1000;
const againMs = 3000;
/** Builds shown: those under way, and the latest. */
const buildsMax = 50;

/** The view of builds. */
export function Builds({ status, invocations = [] }: Seen) {
  const [chosen, choose] = useState<string>();
  const query = { limit, skip: 0 };
  const ended = useAnswer<ActionList>("/api/actions", { ...query, filter: "ended" }, againMs);
  const open = useAnswer<ActionList>("/api/actions", { ...query, filter: "unfinished" }, againMs);
  const lines = useMemo(
    () => merged(open.answer?.actions ?? [], ended.answer?.actions ?? []),
    [open.answer, ended.answer],
  );
  const isTold = invocations.some(({ id }) => id === chosen);
  return (
    <>
      <section aria-labelledby="lately">
        <h2 id="lately">Under way and lately</h2>
        <p class="quiet">Of the last {limit} actions that ended, and what waits and runs.</p>
        <BuildTable builds={buildsOf(status?.invocations ?? [], lines)} choose={choose} />
      </section>
      <section aria-labelledby="told">
        <h2 id="told">Told by build tools</h2>
        {invocations.length === 0 && (
          <p>Nothing yet. Bazel tells of its builds with --bes_backend=grpc://…</p>
        )}
        <ul class="builds">
          {invocations.map((one) => (
            <li key={one.id}>
              <button type="button" class="plain" onClick={() => choose(one.id)}>
                <Summary {...one} />
              </button>
            </li>
          ))}
        </ul>
      </section>
      {chosen !== undefined && (
        <article aria-labelledby="chosen" class="why">
          <Title key={chosen} text={chosen} />
          <OverTime invocation={chosen} />
          {isTold && <Report id={chosen} />}
        </article>
      )}
    </>
  );
}

/** The name of what was chosen, which readers are led to. */
function Title({ text }: { readonly text: string }) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  return (
    <h2 id="chosen" ref={title} tabIndex={-1}>
      Build <bdi>{name(text)}</bdi>
    </h2>
  );
}

/** Where its time went, as long as the page is open anew. */
function OverTime({ invocation }: { readonly invocation: string }) {
  const query = { invocation };
  const { answer: build, failure } = useAnswer<BuildProfile>("/api/build", query, againMs);
  if (failure !== undefined) return <p class="quiet">{name(failure)}</p>;
  if (build === undefined) return <p>Asking…</p>;
  return (
    <section aria-labelledby="timeline">
      <h3 id="timeline">Over time</h3>
      <Timeline build={build} />
      <BuildFigures build={build} />
      {build.cut && <p class="quiet">More of its actions are remembered than are counted here.</p>}
      {build.silent.length > 0 && (
        <p class="bad">
          Silent: <bdi>{build.silent.map(name).join(", ")}</bdi>
        </p>
      )}
    </section>
  );
}

interface Build {
  readonly user: string;
  readonly invocation: string;
  waiting: number;
  running: number;
  ended: number;
  cached: number;
  failed: number;
}

/** Builds with what is known of them, those under way first. */
function buildsOf(open: readonly Invocation[], lines: readonly ActionLine[]): Build[] {
  const builds = new Map<string, Build>();
  const buildOf = ({
    user,
    invocation,
  }: {
    readonly user: string;
    readonly invocation: string;
  }) => {
    const key = `${user} ${invocation}`;
    const known = builds.get(key) ?? {
      ...{ user, invocation, waiting: 0, running: 0, ended: 0, cached: 0, failed: 0 },
    };
    builds.set(key, known);
    return known;
  };
  for (const line of lines) {
    const build = buildOf(line);
    if (line.state === "queued") build.waiting += 1;
    if (line.state === "running") build.running += 1;
    if (line.state === "queued" || line.state === "running") continue;
    build.ended += 1;
    if (line.state === "cached") build.cached += 1;
    if (line.state === "failed" || (line.exitCode ?? 0) !== 0) build.failed += 1;
  }
  // Of its own the node knows all, not only those that are listed.
  for (const one of open) {
    Object.assign(buildOf(one), { waiting: one.pending, running: one.executing });
  }
  return [...builds.values()].slice(0, buildsMax);
}

/** What ended between the two answers is in both: it has ended. */
function merged(open: readonly ActionLine[], ended: readonly ActionLine[]): ActionLine[] {
  const keyOf = ({ host, operation, action }: ActionLine) => `${host} ${operation} ${action}`;
  return [...new Map([...open, ...ended].map((line) => [keyOf(line), line])).values()];
}

function BuildTable({
  builds,
  choose,
}: {
  readonly builds: readonly Build[];
  readonly choose: (invocation: string) => void;
}) {
  if (builds.length === 0) return <p>Nothing was built here lately.</p>;
  return (
    <div class="wide">
      <table>
        <Heads
          names={["Invocation", "User", "Waiting", "Running", "Ended", "In the cache", "Failed"]}
        />
        <tbody>
          {builds.map((build) => (
            <tr key={`${build.user} ${build.invocation}`}>
              <th scope="row">
                <button type="button" class="plain" onClick={() => choose(build.invocation)}>
                  <bdi>{name(build.invocation || "without a name")}</bdi>
                </button>
              </th>
              <td>
                <bdi>{name(build.user)}</bdi>
              </td>
              {[build.waiting, build.running, build.ended, build.cached, build.failed].map(
                (count, at) => (
                  <td key={at} class="number">
                    {count}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Summary(one: InvocationSummary) {
  const result = one.result || "running";
  const took = one.endedAtMs > 0 ? time(one.endedAtMs - one.startedAtMs) : "";
  return (
    <>
      <strong class={result === "SUCCESS" || result === "running" ? "good" : "bad"}>
        {result}
      </strong>{" "}
      <bdi>{name(`${one.tool} ${one.command}`)}</bdi> by <bdi>{name(one.user)}</bdi>,{" "}
      {clock(one.startedAtMs)}
      {took && `, ${took}`}; {one.targets} targets, {one.tests} tests
      {one.testsFailed > 0 && `, ${one.testsFailed} failed`}
    </>
  );
}

function Report({ id }: { readonly id: string }) {
  const { answer: report, failure } = useAnswer<InvocationReport>("/api/invocation", { id });
  if (failure !== undefined) return <p role="alert">{name(failure)}</p>;
  if (report === undefined) return <p>Asking…</p>;
  const longest = Math.max(1, ...report.tests.map(({ durationMs }) => durationMs));
  return (
    <section aria-labelledby="report">
      <h3 id="report">What the build tool told</h3>
      {report.runners.length > 0 && (
        <p>Actions: {report.runners.map((one) => `${one.actions} ${name(one.name)}`).join(", ")}</p>
      )}
      {report.failedActions.map((one) => (
        <p key={one.label + one.output} class="bad">
          <bdi>{name(`${one.label} ${one.mnemonic}`)}</bdi> failed with {one.exitCode}
        </p>
      ))}
      {report.tests.length > 0 && (
        <table>
          <caption>Tests</caption>
          <tbody>
            {report.tests.map((test) => (
              <tr key={test.label}>
                <th scope="row">
                  <bdi>{name(test.label)}</bdi>
                </th>
                <td class={test.status === "PASSED" ? "good" : "bad"}>{test.status}</td>
                <td class="number">{time(test.durationMs)}</td>
                <td>
                  <meter value={test.durationMs} max={longest} aria-hidden="true" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {report.output !== "" && <pre>{plainLines(report.output)}</pre>}
    </section>
  );
}

/** What was printed, without its colours. */
function plainLines(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  const uncoloured = text.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "");
  return uncoloured.split("\n").map(name).join("\n");
}
