// Which hosts keep a blob or a result: computed by everybody from the same list of live hosts, so
// that nobody has to be asked or told. A host that comes or goes moves only its own share.

import type { PeerId } from "./action.ts";
import type { Digest } from "./digest.ts";
import { rankByRendezvous, type Weighted } from "./rendezvous.ts";

/** How many hosts own a blob, where there are so many. */
export const ownersOfBlob = 2;

/** The owners of `digest` among `hosts`, the first one first; fewer than `count` where few live. */
export function ownersOf(
  digest: Digest,
  hosts: readonly Weighted[],
  count: number = ownersOfBlob,
): readonly PeerId[] {
  return rankByRendezvous(digest.hash, hosts, count);
}

/** The same among hosts that count alike. */
export function ownersAmong(
  digest: Digest,
  hosts: readonly PeerId[],
  count: number = ownersOfBlob,
): readonly PeerId[] {
  const weighted = hosts.map((name) => ({ name, weight: 1 }));
  return ownersOf(digest, weighted, count);
}
