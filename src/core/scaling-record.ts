// What a mesh tells of its own load: one JSON object a line, the head first. `builder remote
// record` writes it, `builder simulate` reads it and asks what another policy would have done.
//
// Lines are in the order in which they came to be known: an action's when it ended, a decision's
// when it was made. Times are Unix ms of the node that recorded. Names of people, targets and
// blobs do not appear: `invocation` and `kind` are numbers that mean something within one record.

import type { ScalingBounds, ScalingDecision, ScalingDemand } from "./scaling.ts";

/** The first line. */
export interface RecordHead {
  readonly record: "head";
  readonly format: "builder-scaling-record";
  /** A reader refuses a higher one. */
  readonly version: 1;
  readonly atMs: number;
}

/** An action that ended with a result; cached answers are no actions. */
export interface RecordedAction {
  readonly record: "action";
  /** When it was accepted. */
  readonly atMs: number;
  /** From then until a worker had it, in ms. */
  readonly waitMs: number;
  /** Its run time by the worker's word, in ms. */
  readonly runMs: number;
  /** Which build, numbered from 1 in order of appearance. */
  readonly invocation: number;
  /** What it resembles: actions of a kind take about as long. Numbered from 1. */
  readonly kind: number;
  /** How often it was begun before and lost with its worker. */
  readonly lost: number;
}

/** A decision with everything that it was made from. */
export interface RecordedDecision {
  readonly record: "decision";
  readonly atMs: number;
  /** Name of the policy. */
  readonly policy: string;
  readonly mode: "off" | "advise" | "on";
  readonly demand: ScalingDemand;
  readonly bounds: ScalingBounds;
  readonly decision: ScalingDecision;
}

/** A machine that came or went. */
export interface RecordedMachine {
  readonly record: "machine";
  readonly atMs: number;
  readonly id: string;
  /**
   * `launched`, `ready` (its first worker is linked; `bootMs` then says how long that took),
   * `draining`, `kept` (its drain was cancelled), `ended` and `failed`, with `why`.
   */
  readonly event: "launched" | "ready" | "draining" | "kept" | "ended" | "failed";
  readonly bootMs?: number;
  readonly why?: string;
}

/** One line. A reader skips lines whose `record` it does not know. */
export type ScalingRecord = RecordHead | RecordedAction | RecordedDecision | RecordedMachine;

/** A record as one line, its end included; numbers keep three digits after the point. */
export function formatRecord(record: ScalingRecord): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Math.round(value * 1000) / 1000 : value;
  return `${JSON.stringify(record, rounded)}\n`;
}
