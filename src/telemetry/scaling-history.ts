// Notes as a record of the mesh's load: what arrived, how long it waited and ran, and what scaling
// made of it. Kept in memory, the oldest goes first; `builder remote record` and `decisions` read
// it.

import type { Token } from "../core/action.ts";
import type { Note } from "../core/note.ts";
import type { RecordedMachine, ScalingRecord } from "../core/scaling-record.ts";
import { formatRecord } from "../core/scaling-record.ts";

/** A page of the record. */
export interface RecordPage {
  /** Lines as `formatRecord` writes them. */
  readonly lines: readonly string[];
  /** Ask from here for what comes next. */
  readonly next: number;
  /** Lines between what was asked for and the first that is still there. */
  readonly dropped: number;
}

/** What is remembered. */
export interface ScalingHistory {
  onNote(note: Note, nowMs: number): void;
  /** Lines from number `from` on, at most `limit`; of decisions alone where `only` says so. */
  read(from: number, limit: number, only?: "decisions"): RecordPage;
}

/** Bounds of what is remembered. */
export const historyBounds = {
  /** Lines; at about 150 bytes each some 15 MB. */
  linesMax: 100_000,
  /** Decisions are ten times as long. */
  decisionsMax: 1_000,
  /** Actions under way, and names that were given a number. */
  namesMax: 100_000,
};

interface Underway {
  readonly atMs: number;
  readonly invocation: number;
  readonly kind: number;
  waitMs: number;
  lost: number;
}

/** Remembers from now on; `name` is the node's, whose worker processes are machines too. */
export function createScalingHistory(name: string, bounds = historyBounds): ScalingHistory {
  const lines = createRing(bounds.linesMax);
  const decisions = createRing(bounds.decisionsMax);
  const underway = new Map<number, Underway>();
  const invocations = createNumbers(bounds.namesMax);
  const kinds = createNumbers(bounds.namesMax);
  const startedAtMs = new Map<string, number>();

  function onMachine(event: RecordedMachine): void {
    lines.push(formatRecord(event));
  }

  function onAction(note: Note, nowMs: number): boolean {
    switch (note.name) {
      case "action-accepted": {
        const { user, invocation, kind } = note.request;
        const numbers = { invocation: invocations(`${user}/${invocation}`), kind: kinds(kind) };
        bound(underway, bounds.namesMax);
        underway.set(note.token.seq, { atMs: nowMs, ...numbers, waitMs: 0, lost: 0 });
        return true;
      }
      case "action-bound":
        change(note.token, (action) => {
          action.waitMs = note.waitMs;
        });
        return true;
      case "action-retried":
        change(note.token, (action) => {
          action.lost += 1;
        });
        return true;
      case "action-done": {
        const action = underway.get(note.token.seq);
        underway.delete(note.token.seq);
        if (action === undefined) return true;
        const record: ScalingRecord = { record: "action", ...action, runMs: note.runMs };
        lines.push(formatRecord(record));
        return true;
      }
      case "action-refused":
        underway.delete(note.token.seq);
        return true;
      case "action-abandoned":
        if (note.last) underway.delete(note.token.seq);
        return true;
      default:
        return false;
    }
  }

  function change(token: Token, how: (action: Underway) => void): void {
    const action = underway.get(token.seq);
    if (action !== undefined) how(action);
  }

  /** A worker process of this host as the machine that it is to scaling. */
  function onWorker(note: Note, nowMs: number): void {
    if (note.name === "worker-launching") {
      const id = `worker-${note.slot}`;
      startedAtMs.set(id, nowMs);
      onMachine({ record: "machine", atMs: nowMs, id, event: "launched" });
    }
    if (note.name !== "worker-linked" && note.name !== "worker-lost") return;
    const id = note.worker.startsWith(`${name}/`)
      ? note.worker.slice(name.length + 1)
      : note.worker;
    const sinceMs = startedAtMs.get(id);
    if (sinceMs === undefined) return;
    const isReady = note.name === "worker-linked";
    if (!isReady) startedAtMs.delete(id);
    const what = isReady
      ? { event: "ready" as const, bootMs: nowMs - sinceMs }
      : { event: "ended" as const };
    onMachine({ record: "machine", atMs: nowMs, id, ...what });
  }

  return {
    onNote: (note, nowMs) => {
      if (note.name === "scaling-decided") {
        const line = formatRecord(note.decided);
        lines.push(line);
        decisions.push(line);
        return;
      }
      const machine = machineEvent(note, nowMs);
      if (machine !== undefined) onMachine(machine);
      else if (!onAction(note, nowMs)) onWorker(note, nowMs);
    },
    read: (from, limit, only) => (only === "decisions" ? decisions : lines).read(from, limit),
  };
}

function machineEvent(note: Note, atMs: number): RecordedMachine | undefined {
  switch (note.name) {
    case "machine-launched":
      return { record: "machine", atMs, id: note.machine, event: "launched" };
    case "machine-ready":
      return { record: "machine", atMs, id: note.machine, event: "ready", bootMs: note.bootMs };
    case "machine-draining":
      return { record: "machine", atMs, id: note.machine, event: "draining" };
    case "machine-kept":
      return { record: "machine", atMs, id: note.machine, event: "kept" };
    case "machine-failed":
      return { record: "machine", atMs, id: note.machine, event: "failed", why: note.why };
    case "machine-ended":
      return { record: "machine", atMs, id: note.machine, event: "ended" };
    default:
      return undefined;
  }
}

/** The last `most` lines, numbered from 0 since the start. */
function createRing(most: number) {
  const lines: string[] = [];
  let dropped = 0;
  return {
    push: (line: string) => {
      lines.push(line);
      // In bulk: taking the first of an array costs all the others a move.
      if (lines.length < most * 1.25) return;
      dropped += lines.splice(0, lines.length - most).length;
    },
    read: (from: number, limit: number): RecordPage => {
      const start = Math.max(from, dropped);
      const page = lines.slice(start - dropped, start - dropped + limit);
      return { lines: page, next: start + page.length, dropped: start - from };
    },
  };
}

/** Numbers for names, from 1 in order of appearance; begins anew once there are too many. */
function createNumbers(most: number): (name: string) => number {
  const numberByName = new Map<string, number>();
  let last = 0;
  return (name) => {
    const known = numberByName.get(name);
    if (known !== undefined) return known;
    bound(numberByName, most);
    last += 1;
    numberByName.set(name, last);
    return last;
  };
}

/** Makes room for one more by forgetting the oldest. */
function bound<K>(map: Map<K, unknown>, most: number): void {
  if (map.size < most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
