// Builds: whose actions run and wait now, and what build tools told of theirs.

import { useEffect, useState } from "preact/hooks";
import type { InvocationReport, InvocationSummary } from "../wire/gen/builder/node/v1/node.ts";
import { ask, type Seen } from "./follow.ts";
import { clock, name, time } from "./text.ts";

/** The view of builds. */
export function Builds({ status, invocations = [] }: Seen) {
  const [chosen, choose] = useState<string>();
  const open = status?.invocations ?? [];
  return (
    <>
      <section aria-labelledby="open">
        <h2 id="open">Under way</h2>
        {open.length === 0 ? (
          <p>Nothing is being built here.</p>
        ) : (
          <table>
            <thead>
              <tr>
                {["User", "Invocation", "Waiting", "Running", "Work that waits"].map((head) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {open.map(({ user, invocation, pending, executing, pendingMs }) => (
                <tr key={`${user} ${invocation}`}>
                  <th scope="row">
                    <bdi>{name(user)}</bdi>
                  </th>
                  <td>
                    <bdi>{name(invocation)}</bdi>
                  </td>
                  <td class="number">{pending}</td>
                  <td class="number">{executing}</td>
                  <td class="number">{time(pendingMs)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      <section aria-labelledby="told">
        <h2 id="told">Told by build tools</h2>
        <p class="quiet">Bazel tells its builds with --bes_backend=grpc://…</p>
        <ul class="builds">
          {invocations.map((one) => (
            <li key={one.id}>
              <button type="button" class="plain" onClick={() => choose(one.id)}>
                <Summary {...one} />
              </button>
            </li>
          ))}
        </ul>
        {chosen !== undefined && <Report id={chosen} />}
      </section>
    </>
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
  const [report, setReport] = useState<InvocationReport>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    setReport(undefined);
    setFailure(undefined);
    ask<InvocationReport>("/api/invocation", { id }).then(setReport, (error: Error) =>
      setFailure(error.message),
    );
  }, [id]);
  if (failure !== undefined) return <p role="alert">{name(failure)}</p>;
  if (report === undefined) return <p>Asking…</p>;
  const longest = Math.max(1, ...report.tests.map(({ durationMs }) => durationMs));
  return (
    <article aria-labelledby="report">
      <h3 id="report">
        Invocation <bdi>{name(id)}</bdi>
      </h3>
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
    </article>
  );
}

/** What was printed, without its colours. */
function plainLines(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  const uncoloured = text.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "");
  return uncoloured.split("\n").map(name).join("\n");
}
