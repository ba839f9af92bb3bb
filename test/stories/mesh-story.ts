// A tiny mesh of cores with instant, ordered delivery, told line by line. For stories, where a
// reader follows every message; the simulator is for everything that goes wrong at once.

import type { ActionRequest, PeerId, Token } from "../../src/core/action.ts";
import type { Effect, Input } from "../../src/core/machine.ts";
import type { Message } from "../../src/core/message.ts";
import { NodeCore } from "../../src/core/node.ts";
import { createRng } from "../../src/core/rng.ts";

/** A story in progress. */
export interface Story {
  /** Lets time pass; wakes whoever asked for it. */
  pass(ms: number): void;
  link(a: PeerId, b: PeerId): void;
  /** The process is gone: its links close, it neither hears nor speaks. */
  kill(peer: PeerId): void;
  submit(at: PeerId, operation: string, request: ActionRequest): void;
  /** The oldest running attempt at `worker` ends. */
  finish(worker: PeerId, outcome: Extract<Input, { kind: "executed" }>["outcome"]): void;
  /** Everything so far, a line each. */
  text(): string;
}

/**
 * Starts a story with an ingress and workers; every worker has one slot. With homes work stealing
 * is on, and a worker is of the host named there.
 */
export function tellStory(
  workers: readonly PeerId[],
  homeByWorker?: Readonly<Record<PeerId, PeerId>>,
): Story {
  const lines: string[] = [];
  const core = new Map<PeerId, NodeCore>();
  const running = new Map<PeerId, Token[]>();
  const links = new Map<PeerId, Set<PeerId>>();
  let now = 1_000_000;
  for (const [index, self] of ["ingress", ...workers].entries()) {
    const slots = self === "ingress" ? 0 : 1;
    const properties = { OSFamily: ["linux"] };
    const home = homeByWorker?.[self];
    const role = home === undefined ? { serves: slots === 0 } : { home };
    const mesh = homeByWorker ? { ...role, workStealing: true } : {};
    const options = { self, name: self, slots, properties, isolation: "none", ...mesh };
    core.set(self, new NodeCore(options, createRng(index)));
    running.set(self, []);
    links.set(self, new Set());
  }

  function say(text: string): void {
    lines.push(`${String(now - 1_000_000).padStart(6)} ms  ${text}`);
  }

  const inbox: { readonly peer: PeerId; readonly input: Input }[] = [];
  let delivering = false;

  /** Messages arrive in the order they were sent, whoever sent them. */
  function feed(peer: PeerId, input: Input): void {
    inbox.push({ peer, input });
    if (delivering) return;
    delivering = true;
    for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
      const { peer: to, input: given } = next;
      for (const effect of core.get(to)?.handle(given, now) ?? []) perform(to, effect);
    }
    delivering = false;
  }

  function perform(peer: PeerId, effect: Effect): void {
    if (effect.kind === "send") {
      if (effect.message.kind !== "load") say(`${peer} → ${effect.to}: ${inWords(effect.message)}`);
      if (links.get(peer)?.has(effect.to))
        feed(effect.to, { kind: "message", from: peer, message: effect.message });
    }
    if (effect.kind === "execute") {
      say(`${peer} runs ${short(effect.token)}`);
      running.get(peer)?.push(effect.token);
    }
    if (effect.kind === "cancel") say(`${peer} kills ${short(effect.token)}`);
    if (effect.kind === "publish") {
      const { stage } = effect;
      const more =
        stage.kind === "failed" ? `: ${stage.failure.code} ${stage.failure.message}` : "";
      say(`${effect.operations.join(", ")} is ${stage.kind}${more}`);
    }
  }

  function inWords(message: Message): string {
    if (message.kind === "steal") return `steal up to ${message.room}`;
    if (message.kind === "granted") return `granted ${message.count}`;
    return "token" in message ? `${message.kind} ${short(message.token)}` : message.kind;
  }

  function short({ seq, hop }: Token): string {
    return `#${seq % 1000}.${hop}`;
  }

  return {
    pass: (ms) => {
      const end = now + ms;
      for (;;) {
        const next = [...core].sort(([, a], [, b]) => a.wakeAtMs - b.wakeAtMs)[0];
        if (next === undefined || next[1].wakeAtMs > end) break;
        now = Math.max(now, next[1].wakeAtMs);
        feed(next[0], { kind: "wake" });
      }
      now = end;
    },
    link: (a, b) => {
      links.get(a)?.add(b);
      links.get(b)?.add(a);
      feed(a, { kind: "linked", peer: b });
      feed(b, { kind: "linked", peer: a });
    },
    kill: (peer) => {
      say(`${peer} is killed`);
      core.delete(peer);
      for (const [other, peers] of links) {
        if (peers.delete(peer) && other !== peer) feed(other, { kind: "unlinked", peer });
      }
    },
    submit: (at, operation, request) => {
      say(`${operation} asks for ${request.kind}`);
      feed(at, { kind: "submit", operation, request });
    },
    finish: (worker, outcome) => {
      const token = running.get(worker)?.shift();
      if (token === undefined) throw new Error(`${worker} runs nothing`);
      say(`${worker} ends ${short(token)} with ${outcome.kind}`);
      feed(worker, { kind: "executed", token, outcome });
    },
    text: () => `${lines.join("\n")}\n`,
  };
}
