// What must hold in every run, watched from outside. A checker knows no core; it sees inputs,
// effects and machines, and says in a sentence what went wrong.

import { type PeerId, tokenKey } from "../src/core/action.ts";
import { digestKey, sameDigest } from "../src/core/digest.ts";
import type { Effect, Stage } from "../src/core/machine.ts";
import { type MachineRoom, type Run, responseOf } from "./machine-room.ts";
import type { Workload } from "./workloads.ts";
import type { World } from "./world.ts";

/** What a checker found; no sentences means that all was well. */
export interface Checker {
  failures(): readonly string[];
}

/** Sentences one checker keeps at most. */
const failuresMax = 20;

/** Every call ends exactly once, with the answer to its own action. */
export function checkNothingLost(world: World, workload: Workload): Checker {
  const failures: string[] = [];
  const actionByOperation = new Map(
    workload.invocations
      .flatMap(({ calls }) => calls)
      .map(({ operation, request }) => [operation, request.action]),
  );
  const ended = new Set<string>();
  const end = (operation: string, stage: Stage) => {
    const action = actionByOperation.get(operation);
    if (action === undefined) failures.push(`${operation} ended, but nobody called it`);
    if (ended.has(operation)) failures.push(`${operation} ended twice`);
    ended.add(operation);
    if (stage.kind === "failed") failures.push(`${operation} failed: ${stage.failure.message}`);
    if (stage.kind !== "completed" || action === undefined) return;
    const { outcome } = stage;
    if (outcome.kind !== "result" || !sameDigest(outcome.response, responseOf(action))) {
      failures.push(`${operation} got the answer of another action`);
    }
  };
  world.observe({
    onEffect: (_peer, effect) => {
      if (effect.kind !== "publish" || failures.length >= failuresMax) return;
      const { stage } = effect;
      for (const operation of effect.operations) {
        if (stage.kind === "completed" || stage.kind === "failed") end(operation, stage);
        else if (ended.has(operation))
          failures.push(`${operation} was ${stage.kind} after its end`);
      }
    },
  });
  return {
    failures: () => {
      const open = [...actionByOperation.keys()].filter((operation) => !ended.has(operation));
      const lost = open.slice(0, 3).join(", ");
      return open.length === 0
        ? failures
        : [...failures, `${open.length} calls never ended, among them ${lost}`];
    },
  };
}

/** One hop is bound to one worker; no worker runs more than its slots. */
export function checkOneOwner(world: World, room: MachineRoom, slots: number): Checker {
  const failures: string[] = [];
  const ownerByToken = new Map<string, PeerId>();
  world.observe({
    onEffect: (peer, effect) => {
      if (failures.length >= failuresMax) return;
      const owner = boundTo(effect);
      if (owner !== undefined) {
        const first = ownerByToken.get(owner.token) ?? owner.peer;
        ownerByToken.set(owner.token, first);
        if (first !== owner.peer) {
          failures.push(`${owner.token} was bound to ${first} and to ${owner.peer}`);
        }
      }
      if (effect.kind === "execute" && room.running(peer) > slots) {
        failures.push(`${peer} runs ${room.running(peer)} actions in ${slots} slots`);
      }
    },
  });
  return { failures: () => failures };
}

/**
 * Actions run more than once stay few. Runs that nobody can spare do not count: requests that
 * forbid merging, and equal actions at two ingresses, which know nothing of each other.
 */
export function checkDuplicates(
  room: { readonly runs: readonly Run[] },
  duplicatesMax: number,
): Checker & { readonly duplicates: number } {
  const count = () => {
    const first = new Set<string>();
    let duplicates = 0;
    for (const { token, request, isCached } of room.runs) {
      if (!request.mayMerge) continue;
      const key = `${token.ingress} ${digestKey(request.action)}`;
      if (!isCached && first.has(key)) duplicates += 1;
      first.add(key);
    }
    return duplicates;
  };
  return {
    get duplicates() {
      return count();
    },
    failures: () => {
      const duplicates = count();
      return duplicates > duplicatesMax
        ? [`${duplicates} actions ran again; the budget is ${duplicatesMax}`]
        : [];
    },
  };
}

/** Nobody idles beside work: a live, linked worker is full again within `idleMsMax`. */
export function checkNoIdleSlots(
  deps: {
    readonly world: World;
    readonly room: MachineRoom;
    readonly ingresses: readonly PeerId[];
    readonly pending: (ingress: PeerId) => number;
  },
  options: { readonly slots: number; readonly idleMsMax: number },
): Checker & { readonly longestMs: number } {
  const { world, room, ingresses, pending } = deps;
  const failures: string[] = [];
  const idleSinceMs = new Map<PeerId, number>();
  let longestMs = 0;
  const look = (worker: PeerId, nowMs: number, isWorkWaiting: boolean) => {
    const isIdle =
      isWorkWaiting &&
      world.isUp(worker) &&
      room.running(worker) < options.slots &&
      ingresses.every((ingress) => world.isLinked(worker, ingress));
    if (!isIdle) {
      idleSinceMs.delete(worker);
      return;
    }
    const sinceMs = idleSinceMs.get(worker) ?? nowMs;
    idleSinceMs.set(worker, sinceMs);
    longestMs = Math.max(longestMs, nowMs - sinceMs);
    if (nowMs - sinceMs > options.idleMsMax && failures.length < failuresMax) {
      failures.push(`${worker} had a free slot beside waiting work for ${nowMs - sinceMs} ms`);
      idleSinceMs.set(worker, nowMs);
    }
  };
  world.observe({
    onHandled: (peer, nowMs) => {
      const isWorkWaiting = ingresses.some((ingress) => pending(ingress) > 0);
      // A worker's own turn changes its state; the end of waiting work changes everybody's.
      const looked = isWorkWaiting && !ingresses.includes(peer) ? [peer] : room.workers;
      if (!isWorkWaiting && idleSinceMs.size === 0) return;
      for (const worker of looked) look(worker, nowMs, isWorkWaiting);
    },
  });
  return {
    get longestMs() {
      return longestMs;
    },
    failures: () => failures,
  };
}

/** Counts what is said from now on: an idle mesh only reports its load, each link every 5 s. */
export function checkQuiet(world: World, links: number, loadMs: number): Checker {
  const startMs = world.nowMs;
  const failures: string[] = [];
  let loads = 0;
  world.observe({
    onEffect: (peer, effect) => {
      if (effect.kind === "note" || failures.length >= failuresMax) return;
      if (effect.kind === "send" && effect.message.kind === "load") loads += 1;
      else if (effect.kind === "send") {
        failures.push(`${peer} sent ${effect.message.kind} though nothing is to do`);
      } else failures.push(`${peer} wanted ${effect.kind} though nothing is to do`);
    },
  });
  return {
    failures: () => {
      const spans = Math.floor((world.nowMs - startMs) / loadMs) + 1;
      const loadsMax = spans * links;
      return loads > loadsMax
        ? [...failures, `${loads} load reports in ${spans} spans; the budget is ${loadsMax}`]
        : failures;
    },
  };
}

function boundTo(effect: Effect): { readonly token: string; readonly peer: PeerId } | undefined {
  if (effect.kind !== "send" || effect.message.kind !== "bound") return undefined;
  return { token: tokenKey(effect.message.token), peer: effect.to };
}
