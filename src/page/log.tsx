// The last log lines of a host, searched while one types.

import { useState } from "preact/hooks";
import type { LogLines } from "../wire/gen/builder/node/v1/insight.ts";
import { useAnswer } from "./asked.ts";
import type { Seen } from "./follow.ts";
import { name, time } from "./text.ts";

const againMs = 2000;
const limit = 1000;

/** The view of logs. */
export function Logs({ figures }: Seen) {
  const [node, setNode] = useState("");
  const [words, setWords] = useState("");
  const { answer, failure } = useAnswer<LogLines>("/api/log", { node, after: 0, limit }, againMs);
  const lines = answer?.lines ?? [];
  const wanted = words.toLowerCase();
  const found = lines.filter(
    ({ text, level }) => text.toLowerCase().includes(wanted) || level === wanted,
  );
  return (
    <section aria-labelledby="log">
      <h2 id="log">Log</h2>
      <div class="filters">
        <label>
          Host{" "}
          <select value={node} onChange={(event) => setNode(event.currentTarget.value)}>
            <option value="">this one</option>
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
        <span aria-live="polite">
          {found.length} of {lines.length} lines
        </span>
      </div>
      {failure !== undefined && <p role="alert">{name(failure)}</p>}
      <ol class="log" reversed>
        {found
          .toReversed()
          .slice(0, 300)
          .map(({ seq, ageMs, level, text }) => (
            <li key={seq} class={level}>
              <span class="quiet">{time(ageMs)} ago</span> <b>{level}</b> <bdi>{name(text)}</bdi>
            </li>
          ))}
      </ol>
    </section>
  );
}
