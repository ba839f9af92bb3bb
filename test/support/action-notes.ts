// Notes of actions as a ledger tells them, for tests of what is made of notes.

import type { ActionRequest, Spans } from "../../src/core/action.ts";
import type { Note } from "../../src/core/note.ts";
import type { WorkerView } from "../../src/core/roster.ts";
import { actionRequest } from "./core-values.ts";

const token = (seq: number) => ({ ingress: "self", seq, hop: 0 });

export function accepted(seq: number, request: Partial<ActionRequest> = {}): Note {
  const operation = `operation-${seq}`;
  const whole = { ...actionRequest(`action ${seq}`), ...request };
  return { name: "action-accepted", token: token(seq), request: whole, operation };
}

export function bound(seq: number, worker: string, stolen = false): Note {
  const peer = `peer of ${worker}`;
  return { name: "action-bound", token: token(seq), peer, worker, stolen, waitMs: 0 };
}

export function done(
  seq: number,
  worker: string,
  how: { readonly runMs?: number; readonly exitCode?: number; readonly spans?: Spans } = {},
): Note {
  const { runMs = 10, exitCode = 0, spans } = how;
  const peer = `peer of ${worker}`;
  return { name: "action-done", token: token(seq), peer, worker, runMs, exitCode, spans };
}

export function retried(seq: number, worker: string, why: string): Note {
  return { name: "action-retried", token: token(seq), worker, why };
}

export function abandoned(seq: number, last = true): Note {
  const operation = `operation-${seq}`;
  return { name: "action-abandoned", token: token(seq), operation, last };
}

export function workerView(name: string, of: Partial<WorkerView> = {}): WorkerView {
  return {
    ...{ peer: `peer of ${name}`, name, slots: 1, free: 0, queued: 0, draining: false },
    ...{
      busy: 0,
      idleSinceMs: undefined,
      isolation: "none",
      home: "self",
      properties: { OSFamily: ["linux"] },
    },
    ...of,
  };
}
