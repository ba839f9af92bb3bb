// What becomes of every action that this node accepted, from notes: the flight recorder behind
// `builder remote actions`, `why` and `watch`. It decides nothing and holds a bounded number.

import type { ActionRequest, PeerId, Spans, Token } from "../core/action.ts";
import type { Failure } from "../core/error.ts";
import type { Note } from "../core/note.ts";

/** Where an action is: the last four are ends. */
export type ActionState = "queued" | "running" | "done" | "cached" | "failed" | "cancelled";

/** One attempt, from the moment that a worker got it. */
export interface AttemptRecord {
  readonly peer: PeerId;
  readonly worker: string;
  /** A worker of another host took it. */
  readonly stolen: boolean;
  readonly boundAtMs: number;
  /** Why it was lost; undefined for the present and for the last one. */
  lost: string | undefined;
}

/** Who waits for an action: as its client named itself. */
export interface Waiter {
  readonly operation: string;
  readonly user: string;
  readonly invocation: string;
}

/** One action. All times are Unix ms by this node's clock: durations do not mix two clocks. */
export interface ActionRecord {
  readonly seq: number;
  readonly request: ActionRequest;
  readonly acceptedAtMs: number;
  state: ActionState;
  /** The most urgent of what its waiters asked for. */
  priority: number;
  /** The first of them; at most `waitersMax` are named. */
  readonly waiters: Waiter[];
  readonly attempts: AttemptRecord[];
  /** Workers it was last offered to, the preferred one first. */
  offers: readonly PeerId[];
  /** When the state became what it is. */
  stateAtMs: number;
  /** Wall time of the command; undefined until it ended, and where none ran. */
  runMs: number | undefined;
  exitCode: number | undefined;
  spans: Spans | undefined;
  /** Why it failed without a result. */
  failure: Failure | undefined;
}

/** Bounds of the recorder. */
export interface RecorderBounds {
  /** Ended actions remembered; the oldest end goes first. */
  readonly endedMax: number;
  /** Unfinished ones followed; further ones run as ever, unseen. */
  readonly unfinishedMax: number;
  /** Waiters named for one action. */
  readonly waitersMax: number;
}

/** The defaults: some 4 MiB of ended actions. */
export const recorderDefaults: RecorderBounds = {
  endedMax: 4096,
  unfinishedMax: 100_000,
  waitersMax: 16,
};

/** Follows actions; feed it every note of this node's ledger. */
export interface ActionRecorder {
  onNote(note: Note): void;
  /** An Execute call was answered from the cache. */
  onCached(operation: string, request: ActionRequest): void;
  /** Unfinished ones, the first accepted first. */
  unfinished(): Iterable<ActionRecord>;
  /** Ended ones, the last to end first. */
  ended(): Iterable<ActionRecord>;
  /** How many wait and how many run. */
  counts(): { readonly queued: number; readonly running: number };
}

/** Makes a recorder. */
export function createActionRecorder(
  deps: { readonly now: () => number },
  bounds: RecorderBounds = recorderDefaults,
): ActionRecorder {
  const unfinished = new Map<number, ActionRecord>();
  // A ring: `next` is where the next end goes, over the oldest once it is full.
  const ended: ActionRecord[] = [];
  let next = 0;
  let running = 0;

  function end(record: ActionRecord, state: ActionState): void {
    if (record.state === "running") running -= 1;
    change(record, state);
    ended[next] = record;
    next = (next + 1) % bounds.endedMax;
  }

  function change(record: ActionRecord, state: ActionState): void {
    record.state = state;
    record.stateAtMs = deps.now();
  }

  function accept({ seq }: Token, operation: string, request: ActionRequest): void {
    if (unfinished.size >= bounds.unfinishedMax) return;
    unfinished.set(seq, newRecord(seq, operation, request, deps.now()));
  }

  function take(token: Token): ActionRecord | undefined {
    const record = unfinished.get(token.seq);
    unfinished.delete(token.seq);
    return record;
  }

  function bind(record: ActionRecord, note: Extract<Note, { name: "action-bound" }>): void {
    if (record.state !== "running") running += 1;
    change(record, "running");
    const { peer, worker, stolen } = note;
    record.attempts.push({ peer, worker, stolen, boundAtMs: record.stateAtMs, lost: undefined });
  }

  function retry(record: ActionRecord, why: string): void {
    if (record.state === "running") running -= 1;
    change(record, "queued");
    const attempt = record.attempts.at(-1);
    if (attempt !== undefined) attempt.lost = why;
  }

  function refuse(note: Extract<Note, { name: "action-refused" }>): void {
    const { token, request, operations, failure } = note;
    const [operation = ""] = operations;
    const record = take(token) ?? newRecord(token.seq, operation, request, deps.now());
    record.failure = failure;
    end(record, "failed");
  }

  function abandon(note: Extract<Note, { name: "action-abandoned" }>): void {
    const record = note.last ? take(note.token) : unfinished.get(note.token.seq);
    if (record === undefined) return;
    if (note.last) {
      end(record, "cancelled");
      return;
    }
    const at = record.waiters.findIndex(({ operation }) => operation === note.operation);
    if (at >= 0) record.waiters.splice(at, 1);
  }

  return {
    onNote: (note) => {
      switch (note.name) {
        case "action-accepted":
          accept(note.token, note.operation, note.request);
          return;
        case "action-merged": {
          const record = unfinished.get(note.token.seq);
          if (record === undefined) return;
          record.priority = Math.min(record.priority, note.request.priority);
          const waiter = waiterOf(note.operation, note.request);
          if (record.waiters.length < bounds.waitersMax) record.waiters.push(waiter);
          return;
        }
        case "action-offered": {
          const record = unfinished.get(note.token.seq);
          if (record !== undefined) record.offers = note.peers;
          return;
        }
        case "action-bound": {
          const record = unfinished.get(note.token.seq);
          if (record !== undefined) bind(record, note);
          return;
        }
        case "action-retried": {
          const record = unfinished.get(note.token.seq);
          if (record !== undefined) retry(record, note.why);
          return;
        }
        case "action-done": {
          const record = take(note.token);
          if (record === undefined) return;
          record.runMs = note.runMs;
          record.exitCode = note.exitCode;
          record.spans = note.spans;
          end(record, note.exitCode === 0 ? "done" : "failed");
          return;
        }
        case "action-refused":
          refuse(note);
          return;
        case "action-abandoned":
          abandon(note);
      }
    },
    onCached: (operation, request) => end(newRecord(-1, operation, request, deps.now()), "cached"),
    // May be gone through more than once, which `values()` may not.
    unfinished: () => ({ [Symbol.iterator]: () => unfinished.values() }),
    ended: function* () {
      for (let back = 1; back <= ended.length; back += 1) {
        const record = ended[(next - back + ended.length) % ended.length];
        if (record !== undefined) yield record;
      }
    },
    counts: () => ({ queued: unfinished.size - running, running }),
  };
}

/** True for an action that is over. */
export function isEnded({ state }: ActionRecord): boolean {
  return state !== "queued" && state !== "running";
}

function newRecord(
  seq: number,
  operation: string,
  request: ActionRequest,
  nowMs: number,
): ActionRecord {
  return {
    ...{ seq, request, acceptedAtMs: nowMs, state: "queued", priority: request.priority },
    waiters: [waiterOf(operation, request)],
    ...{ attempts: [], offers: [], stateAtMs: nowMs, runMs: undefined, exitCode: undefined },
    ...{ spans: undefined, failure: undefined },
  };
}

function waiterOf(operation: string, { user, invocation }: ActionRequest): Waiter {
  return { operation, user, invocation };
}
