// How many slots a random stream of work wants: the Erlang-C formula of the queue M/M/c.
//
// Head-room shrinks with size (a load of 1 wants 3 slots, one of 256 wants 274), so a fixed share
// of busy slots is wrong at both ends. Only sums, products and quotients: every engine agrees.

import { assert } from "./assert.ts";

/**
 * The least slots at which an action has to wait with a probability of at most `waitProbability`.
 * Source: A. K. Erlang, 1917, by the recurrence of Erlang B.
 *
 * @param load - Slots that would be busy if nothing ever waited (arrivals × duration), 0 or more.
 * @param waitProbability - Above 0, below 1.
 * @param slotsMax - No more than these are ever wanted; bounds the work.
 */
export function erlangSlots(load: number, waitProbability: number, slotsMax: number): number {
  assert(waitProbability > 0 && waitProbability < 1, "a probability is between 0 and 1");
  if (!(load > 0)) return 0;
  let blocked = 1;
  for (let slots = 1; slots < slotsMax; slots += 1) {
    blocked = (load * blocked) / (slots + load * blocked);
    if (slots <= load) continue;
    const waits = (slots * blocked) / (slots - load * (1 - blocked));
    if (waits <= waitProbability) return slots;
  }
  return slotsMax;
}
