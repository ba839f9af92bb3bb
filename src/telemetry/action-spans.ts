// Notes as spans: an action's whole way over nodes, told by the node that accepted it. Its workers'
// phases come as lengths with the end of the attempt, so that other machines' clocks do not matter.
//
//   action ─ queued ─ attempt ─ fetch · set-up · run · store
//
// The trace is the client's invocation: whoever knows its id finds the trace.

import { createHash } from "node:crypto";
import { type Token, tokenKey } from "../core/action.ts";
import type { Note } from "../core/note.ts";

/** One span as it ended. */
export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** Undefined for an action. */
  readonly parentId: string | undefined;
  readonly name: string;
  /** Unix ms. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  readonly events: readonly SpanEvent[];
  /** Why it failed; undefined where it did not. */
  readonly error: string | undefined;
}

/** What a span or event says of itself. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A moment of a span. */
export interface SpanEvent {
  readonly name: string;
  /** Unix ms. */
  readonly atMs: number;
  readonly attributes: SpanAttributes;
}

/** Actions under way, as spans. */
export interface ActionSpans {
  onNote(note: Note, nowMs: number): void;
  /** Actions of which nothing is told, for too many were under way. */
  readonly untold: number;
}

/** Bound: actions under way that are followed; of further ones nothing is told. */
const openMax = 20_000;
/** Bound: events of one action. */
const eventsMax = 32;
/** Bound: characters of a text that came from elsewhere. */
const textMax = 1024;

interface OpenAction {
  readonly traceId: string;
  readonly spanId: string;
  /** How the ids of its other spans begin: 12 hex digits. */
  readonly childIds: string;
  children: number;
  readonly acceptedMs: number;
  readonly attributes: SpanAttributes;
  readonly events: SpanEvent[];
  /** Since when it waits, or what runs it. */
  queuedMs: number;
  attempt: { readonly boundMs: number; readonly attributes: SpanAttributes } | undefined;
  attempts: number;
}

/** Follows actions from note to note. */
export function createActionSpans(onSpan: (span: Span) => void, max = openMax): ActionSpans {
  const openByKey = new Map<string, OpenAction>();
  let untold = 0;

  function accept(note: Extract<Note, { name: "action-accepted" }>, nowMs: number): void {
    if (openByKey.size >= max) {
      untold += 1;
      return;
    }
    openByKey.set(actionKey(note.token), openAction(note, nowMs));
  }

  function event(open: OpenAction, name: string, atMs: number, attributes: SpanAttributes): void {
    if (open.events.length < eventsMax) open.events.push({ name, atMs, attributes });
  }

  /** The wait of an attempt is over, or it never came to one. */
  function endQueued(open: OpenAction, nowMs: number): void {
    onSpan(childOf(open, "queued", open.spanId, { startMs: open.queuedMs, endMs: nowMs }));
  }

  function endAttempt(open: OpenAction, nowMs: number, end: AttemptEnd): void {
    const { attempt } = open;
    if (attempt === undefined) {
      endQueued(open, nowMs);
      return;
    }
    const startMs = attempt.boundMs;
    const attributes = { ...attempt.attributes, ...end.attributes };
    const times = { startMs, endMs: nowMs };
    const span = { ...childOf(open, "attempt", open.spanId, times), attributes, error: end.error };
    onSpan(span);
    for (const phase of phasesOf(span, end.phases)) {
      onSpan(childOf(open, phase.name, span.spanId, phase));
    }
    open.attempt = undefined;
    open.queuedMs = nowMs;
    open.attempts += 1;
  }

  function close(token: Token, nowMs: number, end: AttemptEnd): void {
    const open = openByKey.get(actionKey(token));
    if (open === undefined) return;
    openByKey.delete(actionKey(token));
    endAttempt(open, nowMs, end);
    const { traceId, spanId, acceptedMs: startMs, events } = open;
    const attributes = { ...open.attributes, ...end.attributes };
    const { error } = end;
    const span = { traceId, spanId, startMs, endMs: nowMs, attributes, events, error };
    onSpan({ ...span, parentId: undefined, name: "action" });
  }

  function onNote(note: Note, nowMs: number): void {
    if (!("token" in note)) return;
    if (note.name === "action-accepted") accept(note, nowMs);
    const open = openByKey.get(actionKey(note.token));
    if (open === undefined) return;
    switch (note.name) {
      case "action-merged":
        event(open, "merged", nowMs, { "builder.invocation": note.request.invocation });
        break;
      case "action-offered":
        event(open, "offered", nowMs, { "builder.workers": note.peers.length });
        break;
      case "lease-expired":
        event(open, "lease expired", nowMs, { "builder.peer": note.peer });
        break;
      case "action-bound": {
        const { worker, peer, stolen } = note;
        const attributes = {
          ...{ "builder.worker": worker, "builder.peer": peer, "builder.stolen": stolen },
          "builder.attempt": open.attempts + 1,
        };
        endQueued(open, nowMs);
        open.attempt = { boundMs: nowMs, attributes };
        break;
      }
      case "action-retried":
        endAttempt(open, nowMs, { attributes: {}, phases: [], error: shortened(note.why) });
        break;
      case "action-done":
        close(note.token, nowMs, doneEnd(note));
        break;
      case "action-refused": {
        const error = shortened(note.failure.message);
        close(note.token, nowMs, { attributes: {}, phases: [], error });
        break;
      }
      case "action-abandoned":
        if (note.last) close(note.token, nowMs, { attributes: {}, phases: [], error: "given up" });
        break;
    }
  }

  return {
    onNote,
    get untold() {
      return untold;
    },
  };
}

/**
 * The trace of an invocation. An id that is a UUID is the trace id itself, without its dashes, as
 * Bazel's and ours are; any other is hashed.
 */
export function traceIdOf(invocation: string): string {
  const digits = invocation.replaceAll("-", "").toLowerCase();
  return /^(?!0+$)[0-9a-f]{32}$/.test(digits) ? digits : hex(`trace ${invocation}`, 32);
}

/** How an attempt ended, and how long its phases were. */
interface AttemptEnd {
  readonly attributes: SpanAttributes;
  readonly phases: readonly (readonly [name: string, ms: number])[];
  readonly error: string | undefined;
}

function doneEnd({ spans, runMs, exitCode }: Extract<Note, { name: "action-done" }>): AttemptEnd {
  const failed = exitCode === undefined ? "it was refused" : `exit code ${exitCode}`;
  return {
    attributes: exitCode === undefined ? {} : { "builder.exit_code": exitCode },
    error: exitCode === 0 ? undefined : failed,
    phases:
      spans === undefined
        ? []
        : [
            ["fetch", spans.fetchMs],
            ["set-up", spans.setUpMs],
            ["run", runMs],
            ["store", spans.storeMs],
          ],
  };
}

/** One after the other; what is left of the attempt, messages on their way, before and after. */
function phasesOf({ startMs, endMs }: Span, lengths: AttemptEnd["phases"]) {
  const total = lengths.reduce((sum, [, ms]) => sum + ms, 0);
  let atMs = startMs + Math.max(0, endMs - startMs - total) / 2;
  return lengths.map(([name, ms]) => {
    const phase = { name, startMs: Math.min(atMs, endMs), endMs: Math.min(atMs + ms, endMs) };
    atMs += ms;
    return phase;
  });
}

function openAction(
  { token, request }: Extract<Note, { name: "action-accepted" }>,
  nowMs: number,
): OpenAction {
  const { hash, sizeBytes } = request.action;
  const id = hex(`action ${actionKey(token)}`, 28);
  return {
    traceId: traceIdOf(request.invocation),
    spanId: id.slice(0, 16),
    childIds: id.slice(16, 28),
    children: 0,
    acceptedMs: nowMs,
    attributes: {
      "builder.action": `${hash}/${sizeBytes}`,
      "builder.kind": request.kind,
      "builder.invocation": request.invocation,
      "builder.priority": request.priority,
      "builder.token": tokenKey(token),
    },
    events: [],
    queuedMs: nowMs,
    attempt: undefined,
    attempts: 0,
  };
}

function childOf(
  open: OpenAction,
  name: string,
  parentId: string,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
): Span {
  open.children += 1;
  // One hash an action has to do: these are made by the thousand.
  const spanId = `${open.childIds}${(open.children & 0xffff).toString(16).padStart(4, "0")}`;
  const base = { traceId: open.traceId, spanId, parentId, name, startMs, endMs };
  return { ...base, attributes: {}, events: [], error: undefined };
}

/** An action is the same whichever attempt is spoken of. */
function actionKey({ ingress, seq }: Token): string {
  return `${ingress}/${seq}`;
}

function hex(text: string, digits: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, digits);
}

function shortened(text: string): string {
  return text.slice(0, textMax);
}
