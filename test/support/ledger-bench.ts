// A ledger named `i` and short ways to speak with it.

import type { ActionRequest, Token } from "../../src/core/action.ts";
import { Ledger, type LedgerOptions, ledgerDefaults } from "../../src/core/ledger.ts";
import type { Effect, Stage } from "../../src/core/machine.ts";
import type { Load, Message } from "../../src/core/message.ts";
import { createRng } from "../../src/core/rng.ts";
import { actionRequest, loadOf, ofKind, resultOf } from "./core-values.ts";

/** The ledger and its clock, in ms. */
export class LedgerBench {
  readonly ledger: Ledger;
  nowMs = 0;
  isStealing = false;

  constructor(options: Partial<LedgerOptions> = {}, expected?: () => Load["properties"]) {
    const deps = { self: "i", rng: createRng(1), stealingOn: () => this.isStealing, expected };
    this.ledger = new Ledger(deps, { ...ledgerDefaults, ...options });
  }

  join(peer: string, changes: Partial<Load> = {}): readonly Effect[] {
    const linked = this.ledger.handle({ kind: "linked", peer }, this.nowMs);
    return [...linked, ...this.hear(peer, loadOf(peer, changes))];
  }

  leave(peer: string): readonly Effect[] {
    return this.ledger.handle({ kind: "unlinked", peer }, this.nowMs);
  }

  hear(from: string, message: Message): readonly Effect[] {
    return this.ledger.handle({ kind: "message", from, message }, this.nowMs);
  }

  submit(operation: string, changes: Partial<ActionRequest> = {}): readonly Effect[] {
    const request = actionRequest(operation, changes);
    return this.ledger.handle({ kind: "submit", operation, request }, this.nowMs);
  }

  claim(from: string, token: Token): readonly Effect[] {
    return this.hear(from, { kind: "claim", token });
  }

  done(from: string, token: Token, outcome = resultOf("r")): readonly Effect[] {
    return this.hear(from, { kind: "done", token, outcome });
  }

  wakeAfter(ms: number): readonly Effect[] {
    this.nowMs += ms;
    return this.ledger.handle({ kind: "wake" }, this.nowMs);
  }

  abandon(operation: string): readonly Effect[] {
    return this.ledger.handle({ kind: "abandon", operation }, this.nowMs);
  }
}

/** Messages as `kind seq/hop>peer`, a grant as `granted count/retryMs>peer`. */
export function sent(effects: readonly Effect[]): string[] {
  return ofKind(effects, "send").map(({ to, message }) => {
    if (message.kind === "granted") return `granted ${message.count}/${message.retryMs}>${to}`;
    const token = "token" in message ? `${message.token.seq}/${message.token.hop}` : "";
    return `${message.kind} ${token}>${to}`;
  });
}

/** What waiters were told, as operations and stage. */
export function told(effects: readonly Effect[]): [string, Stage["kind"]][] {
  return ofKind(effects, "publish").map(({ operations, stage }) => [
    operations.join("+"),
    stage.kind,
  ]);
}

/** Code and sentence of the first failure; "" where there is none. */
export function failure(effects: readonly Effect[]): string {
  const stages = ofKind(effects, "publish").map(({ stage }) => stage);
  const failed = stages.find((stage) => stage.kind === "failed");
  return failed?.kind === "failed" ? `${failed.failure.code} ${failed.failure.message}` : "";
}
