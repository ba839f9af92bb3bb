// The last log lines of a host or of all, searched while one types.

import { useEffect, useState } from "preact/hooks";
import type { LogLines } from "../wire/gen/builder/node/v1/insight.ts";
import { useAnswer } from "./asked.ts";
import type { Seen } from "./follow.ts";
import { name, time } from "./text.ts";

const againMs = 2000;
/** All hosts are asked less often. */
const allAgainMs = 5000;
const limit = 300;
/** The choice of every host; no peer is called so. */
const everyHost = "*";

/** The view of logs, for those who may read them. */
export function Logs(seen: Seen) {
  const { answer, failure } = useAnswer<WhoAsks>("/api/caller", {});
  if (answer?.mayReadLog) return <Lines {...seen} />;
  return (
    <section aria-labelledby="log">
      <h2 id="log">Log</h2>
      {failure !== undefined && <p role="alert">{name(failure)}</p>}
      {answer !== undefined && (
        <>
          <p>The log is for admins of this node. {answer.remedy}</p>
          <form method="post" action="/login">
            <label>
              Token <input name="token" type="password" autocomplete="current-password" required />
            </label>{" "}
            <button type="submit">Log in</button>
          </form>
        </>
      )}
    </section>
  );
}

interface WhoAsks {
  readonly mayReadLog: boolean;
  /** What somebody can do who may not. */
  readonly remedy: string;
}

function Lines({ figures }: Seen) {
  const [node, setNode] = useState("");
  const [words, setWords] = useState("");
  const search = useSettled(words, 250).slice(0, 200);
  const all = node === everyHost;
  const { answer, failure } = useAnswer<LogLines>(
    "/api/log",
    { node: all ? "" : node, all: String(all), after: 0, limit, search },
    all ? allAgainMs : againMs,
  );
  const lines = answer?.lines ?? [];
  const untold = [...(answer?.silent ?? []), ...(answer?.refused ?? [])];
  return (
    <section aria-labelledby="log">
      <h2 id="log">Log</h2>
      <div class="filters">
        <label>
          Host{" "}
          <select value={node} onChange={(event) => setNode(event.currentTarget.value)}>
            <option value="">this one</option>
            <option value={everyHost}>all hosts</option>
            {(figures?.hosts ?? []).map((host) => (
              <option key={host.peer} value={host.peer}>
                {name(host.name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Search{" "}
          <input
            type="search"
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </label>
        <span aria-live="polite">{answer === undefined ? "Asking…" : `${lines.length} lines`}</span>
      </div>
      {failure !== undefined && <p role="alert">{name(failure)}</p>}
      {untold.length > 0 && (
        <p class="bad">
          Tell nothing: <bdi>{untold.map(name).join(", ")}</bdi>
        </p>
      )}
      <ol class="log" reversed>
        {lines.toReversed().map(({ seq, ageMs, level, text, host }) => (
          <li key={`${host} ${seq}`} class={level}>
            <span class="quiet">{time(ageMs)} ago</span> {host && <bdi>{name(host)} </bdi>}
            <b>{level}</b> <bdi>{name(text)}</bdi>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** A text once it has not changed for so many ms. */
function useSettled(text: string, ms: number): string {
  const [settled, settle] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => settle(text), ms);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
