// Actions by a filter, and why one of them waits, ran where it ran, or was no hit.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ActionLine, ActionList, Explanation } from "../wire/gen/builder/node/v1/insight.ts";
import { useAnswer } from "./asked.ts";
import type { Seen } from "./follow.ts";
import { LongTable } from "./long-table.tsx";
import { name, shortDigest, time } from "./text.ts";

const filters = [
  ["unfinished", "Unfinished"],
  ["running", "Running"],
  ["queued", "Queued"],
  ["failed", "Failed"],
  ["slow", "Slowest"],
  ["ended", "Ended"],
] as const;
/** What the node tells at once. */
const limit = 1000;
const againMs = 3000;

/** The view of actions. */
export function Actions({ actions }: Seen) {
  const [filter, setFilter] = useState("unfinished");
  const [chosen, choose] = useState<string>();
  const asked = useAnswer<ActionList>("/api/actions", { filter, limit, skip: 0 }, againMs);
  const list = filter === "unfinished" ? (asked.answer ?? actions) : asked.answer;
  const opener = useRef<Element | null>(null);
  return (
    <section aria-labelledby="actions">
      <h2 id="actions">Actions</h2>
      <fieldset class="filters">
        <legend>Show</legend>
        {filters.map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="filter"
              checked={filter === value}
              onChange={() => setFilter(value)}
            />
            {label}
          </label>
        ))}
      </fieldset>
      {asked.failure !== undefined && <p role="alert">{name(asked.failure)}</p>}
      <p class="quiet">
        {list === undefined
          ? "Asking…"
          : `${list.actions.length} of ${list.total}; silent hosts: ${
              list.silent.length === 0 ? "none" : list.silent.map(name).join(", ")
            }`}
      </p>
      {list?.actions.length === 0 && <p>There are none.</p>}
      <LongTable
        caption={`Actions: ${filter}`}
        heads={["Target and mnemonic", "State", "Worker", "Waited", "Ran", "Whose", "Digest"]}
        rows={list?.actions ?? []}
        keyOf={(line) => `${line.action} ${line.operation}`}
        cells={cellsOf}
        onChoose={(line) => {
          opener.current = document.activeElement;
          choose(line.operation || line.action);
        }}
      />
      {chosen !== undefined && (
        <Why
          action={chosen}
          close={() => {
            choose(undefined);
            if (opener.current instanceof HTMLElement) opener.current.focus();
          }}
        />
      )}
    </section>
  );
}

function cellsOf(line: ActionLine) {
  const { action, kind, state, worker, host, waitMs, runMs, user, invocation, stolen } = line;
  const exit = line.exitCode ? ` (exit ${line.exitCode})` : "";
  return [
    name(kind),
    state + exit,
    `${name(worker)}${stolen ? ` (taken from ${name(host)})` : ""}`,
    time(waitMs),
    state === "queued" ? "-" : time(runMs),
    name(`${user} ${invocation}`.trim()),
    shortDigest(action),
  ];
}

function Why({ action, close }: { readonly action: string; readonly close: () => void }) {
  const { answer: told, failure } = useAnswer<Explanation>("/api/why", { action });
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), [action]);
  return (
    <aside class="why" aria-live="polite" aria-labelledby="why">
      <h3 id="why" ref={title} tabIndex={-1}>
        Why: <bdi>{name(told?.action?.kind ?? shortDigest(action))}</bdi>
      </h3>
      {failure !== undefined && <p role="alert">{name(failure)}</p>}
      {told?.lines.map((line) => (
        <p key={line}>{name(line)}</p>
      ))}
      {told !== undefined && told.differences.length > 0 && (
        <ul>
          {told.differences.map(({ kind, text }) => (
            <li key={kind + text}>
              {kind}: <bdi>{name(text)}</bdi>
            </li>
          ))}
        </ul>
      )}
      <button type="button" onClick={close}>
        Close
      </button>
    </aside>
  );
}
