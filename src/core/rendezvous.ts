// Rendezvous hashing (Thaler and Ravishankar, 1998): everybody who knows the same names picks the
// same one for a key, and a name that joins or leaves moves only its own share of the keys.

import { hashText } from "./rng.ts";

/** A name with a whole weight, 1 to `weightMax`; twice the weight wins twice as many keys. */
export interface Weighted {
  readonly name: string;
  readonly weight: number;
}

/** Heavier names count as this heavy: the cost of a pick grows with the weight. */
export const weightMax = 256;

/** The name that wins `key`; undefined when there is none. Ties go to the lower name. */
export function pickByRendezvous(key: string, names: readonly Weighted[]): string | undefined {
  return rankByRendezvous(key, names, 1)[0];
}

/** The `count` names that win `key`, best first; fewer where there are not so many. */
export function rankByRendezvous(
  key: string,
  names: readonly Weighted[],
  count: number,
): readonly string[] {
  const keyHash = hashText(key);
  const best: { readonly name: string; readonly score: number }[] = [];
  for (const { name, weight } of names) {
    const score = bestScore(keyHash, hashText(name), weight);
    let place = best.length;
    for (let other = best[place - 1]; other !== undefined; other = best[place - 1]) {
      if (other.score > score || (other.score === score && other.name < name)) break;
      place -= 1;
    }
    if (place >= count) continue;
    best.splice(place, 0, { name, score });
    if (best.length > count) best.pop();
  }
  return best.map(({ name }) => name);
}

/** A weight of n draws n tickets; the best counts. Exact, and free of logarithms. */
function bestScore(keyHash: number, nameHash: number, weight: number): number {
  let best = -1;
  for (let ticket = 0; ticket < Math.min(weight, weightMax); ticket += 1) {
    best = Math.max(best, mix(keyHash ^ mix(nameHash + Math.imul(ticket, 0x9e3779b9))));
  }
  return best;
}

/** MurmurHash3's finishing mix (Appleby, public domain). */
function mix(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
