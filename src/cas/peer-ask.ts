// Whether other hosts have what this one lacks: the owners are asked, one batch each, then, for
// what is left and while the hosts are few, all the others.

import type { PeerId } from "../core/action.ts";
import { ownersAmong } from "../core/blob-owners.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { othersAskedMax, type PeerFetchDeps } from "./peer-fetch.ts";

/**
 * Which of these no other host has, as far as those who answer within `patienceMs` know. Whoever
 * has one keeps it for longer for having been asked.
 */
export async function missingEverywhere(
  deps: Omit<PeerFetchDeps, "store">,
  digests: readonly Digest[],
  patienceMs: number,
): Promise<Digest[]> {
  const { peers, self } = deps;
  const hosts = deps.hosts();
  const askedOf = new Map<PeerId, Digest[]>();
  for (const digest of digests) {
    for (const peer of ownersAmong(digest, hosts)) {
      if (peer === self || !peers.usable(peer)) continue;
      const batch = askedOf.get(peer) ?? [];
      askedOf.set(peer, batch);
      batch.push(digest);
    }
  }
  const left = await without(peers, digests, askedOf, patienceMs);
  const others = hosts.filter((peer) => peer !== self && peers.usable(peer));
  if (left.length === 0 || others.length > othersAskedMax) return left;
  const known = (peer: PeerId) => new Set(askedOf.get(peer)?.map(digestKey));
  const rest = others.map((peer): [PeerId, Digest[]] => {
    const answered = known(peer);
    return [peer, left.filter((digest) => !answered.has(digestKey(digest)))];
  });
  return without(peers, left, new Map(rest), patienceMs);
}

/** `digests` less those that somebody asked has. */
async function without(
  peers: PeerFetchDeps["peers"],
  digests: readonly Digest[],
  askedOf: ReadonlyMap<PeerId, readonly Digest[]>,
  patienceMs: number,
): Promise<Digest[]> {
  const present = new Set<string>();
  const asking = [...askedOf].map(async ([peer, batch]) => {
    if (batch.length === 0) return;
    // Who does not answer has nothing, as far as anybody can tell: the client sends it once more.
    const missing = await peers.ask(peer, batch, { patienceMs }).catch(() => batch);
    const lacking = new Set(missing.map(digestKey));
    for (const key of batch.map(digestKey)) if (!lacking.has(key)) present.add(key);
  });
  await Promise.all(asking);
  return digests.filter((digest) => !present.has(digestKey(digest)));
}
