import { expect, test } from "vitest";
import type { Note } from "../../../src/core/note.ts";
import { createScalingHistory } from "../../../src/telemetry/scaling-history.ts";
import { actionRequest, tokenOf } from "../../support/core-values.ts";

function accepted(seq: number, invocation = "build", kind = "compile"): Note {
  const request = actionRequest(`a${seq}`, { invocation, kind });
  return { name: "action-accepted", token: tokenOf(seq), request, operation: `o${seq}` };
}

function done(seq: number, runMs: number): Note {
  const ended = { exitCode: 0, spans: undefined, peer: "w", worker: "worker-1" };
  return { name: "action-done", token: tokenOf(seq), runMs, ...ended };
}

test("an action is recorded once it ended, with its wait, its losses and no names", () => {
  const history = createScalingHistory("desk");
  const bound = { peer: "w", worker: "worker-1", stolen: false };
  history.onNote(accepted(1, "secret-build", "//secret:target"), 1_000);
  history.onNote({ name: "action-bound", token: tokenOf(1), waitMs: 40, ...bound }, 1_040);
  history.onNote({ name: "action-retried", token: tokenOf(1), worker: "w", why: "lost" }, 1_050);
  history.onNote({ name: "action-bound", token: tokenOf(1, 1), waitMs: 90, ...bound }, 1_090);
  history.onNote(accepted(2, "other"), 1_095);
  history.onNote(done(1, 500), 1_600);
  history.onNote(done(1, 500), 1_700);
  const { lines } = history.read(0, 10);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { record: "action", atMs: 1_000, invocation: 1, kind: 1, waitMs: 90, lost: 1, runMs: 500 },
  ]);
  expect(lines.join()).not.toContain("secret");
});

test("pages follow each other, and tell how much was forgotten", () => {
  const bounds = { linesMax: 8, decisionsMax: 8, namesMax: 4 };
  const history = createScalingHistory("desk", bounds);
  for (let seq = 0; seq < 25; seq += 1) {
    history.onNote(accepted(seq, `b${seq}`), seq);
    history.onNote(done(seq, seq), seq);
  }
  const first = history.read(0, 3);
  expect(first.dropped + first.lines.length).toBe(first.next);
  expect(first.dropped).toBeGreaterThanOrEqual(25 - 10);
  const rest = history.read(first.next, 100);
  expect(rest.dropped).toBe(0);
  expect(rest.next).toBe(25);
  expect(JSON.parse(rest.lines.at(-1) ?? "")).toMatchObject({ runMs: 24 });
  expect(history.read(rest.next, 10)).toEqual({ lines: [], next: 25, dropped: 0 });
});

test("this host's worker processes are machines; those of others are not its own", () => {
  const history = createScalingHistory("desk");
  history.onNote({ name: "worker-launching", slot: 1, delayMs: 0 }, 100);
  const linked = { peer: "w", slots: 1 };
  history.onNote({ name: "worker-linked", worker: "laptop/worker-1", ...linked }, 150);
  history.onNote({ name: "worker-linked", worker: "desk/worker-1", ...linked }, 700);
  const events = history.read(0, 10).lines.map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { id: "worker-1", event: "launched" },
    { id: "worker-1", event: "ready", bootMs: 600 },
  ]);
});
