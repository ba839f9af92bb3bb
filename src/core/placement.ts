// Which workers get a reservation for an action: one it prefers and up to two at random.
//
// The preferred worker is where similar actions went before, so that inputs are likely there; but
// only while it is not behind, because unbounded affinity costs more than it saves. The random ones
// make late binding work: the first of three to have a slot takes the action (Sparrow, SOSP 2013).

import type { ActionRequest, PeerId } from "./action.ts";
import { pickByRendezvous } from "./rendezvous.ts";
import type { Rng } from "./rng.ts";

/** A worker that may be chosen. */
export interface Candidate {
  readonly peer: PeerId;
  readonly slots: number;
  /** Attempts it runs or holds for this ingress. */
  readonly outstanding: number;
}

/** Reservations per attempt: one preferred, the rest random. */
export const reservationsPerAttempt = 3;

/** Chooses 1 to 3 of the candidates, the preferred one first. Candidates must be sorted by peer. */
export function choosePeers(
  request: Pick<ActionRequest, "kind" | "inputRoot">,
  candidates: readonly Candidate[],
  rng: Rng,
): readonly PeerId[] {
  const preferred = preferredPeer(request, candidates);
  const chosen = preferred === undefined ? [] : [preferred];
  const rest = candidates.map(({ peer }) => peer).filter((peer) => peer !== preferred);
  while (chosen.length < reservationsPerAttempt && rest.length > 0) {
    chosen.push(...rest.splice(rng.below(rest.length), 1));
  }
  return chosen;
}

/** By input root, else by kind: the first of the two that is not behind. */
function preferredPeer(
  request: Pick<ActionRequest, "kind" | "inputRoot">,
  candidates: readonly Candidate[],
): PeerId | undefined {
  const names = candidates.map(({ peer, slots }) => ({ name: peer, weight: slots }));
  for (const key of [request.inputRoot.hash, request.kind]) {
    const picked = pickByRendezvous(key, names);
    const candidate = candidates.find(({ peer }) => peer === picked);
    // Bound: a worker is preferred only while its work fits its slots.
    if (candidate !== undefined && candidate.outstanding < candidate.slots) return candidate.peer;
  }
  return undefined;
}
