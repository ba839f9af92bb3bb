// Small values for tests of the core: requests, outcomes and loads by name.

import type { ActionRequest, Outcome, Token } from "../../src/core/action.ts";
import type { Digest } from "../../src/core/digest.ts";
import type { Effect } from "../../src/core/machine.ts";
import type { Load } from "../../src/core/message.ts";
import { hashText } from "../../src/core/rng.ts";

/** A digest that depends on a name. */
export function digestOf(name: string): Digest {
  return { fn: "sha256", hash: hashText(name).toString(16).padStart(64, "0"), sizeBytes: 1 };
}

/** A request for the action of that name. */
export function actionRequest(name: string, changes: Partial<ActionRequest> = {}): ActionRequest {
  return {
    action: digestOf(name),
    instance: "",
    priority: 0,
    user: "ann",
    invocation: "build",
    kind: "compile",
    inputRoot: digestOf("root"),
    properties: {},
    mayMerge: true,
    skipCacheLookup: false,
    ...changes,
  };
}

/** The outcome of a command that ended well. */
export function resultOf(name: string, runMs = 10): Outcome {
  return { kind: "result", response: digestOf(`response ${name}`), exitCode: 0, runMs };
}

/** The outcome of a worker that failed. */
export function faultOf(message: string): Outcome {
  return { kind: "fault", failure: { code: "INTERNAL", message } };
}

/** A load report of an idle worker with two slots. */
export function loadOf(name: string, changes: Partial<Load> = {}): Load {
  const load = { kind: "load", name, slots: 2, free: 2, queued: 0, draining: false } as const;
  const host = { home: "", pending: 0, serves: false, busy: 0, pendingMs: 0 };
  return { ...load, ...host, isolation: "none", properties: { OSFamily: ["linux"] }, ...changes };
}

/** The token of an attempt at the first, second, … action of ingress `i`. */
export function tokenOf(seq: number, hop = 0, ingress = "i"): Token {
  return { ingress, seq, hop };
}

/** The effects of one kind. */
export function ofKind<K extends Effect["kind"]>(
  effects: readonly Effect[],
  kind: K,
): readonly Extract<Effect, { readonly kind: K }>[] {
  return effects.filter((effect): effect is Extract<Effect, { readonly kind: K }> => {
    return effect.kind === kind;
  });
}
