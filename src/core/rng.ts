// Seeded dice. Every consumer forks its own, so that a new draw in one place changes no other.

/** A deterministic random source. */
export interface Rng {
  /** A whole number in [0, bound); bound 1 to 2^32. */
  below(bound: number): number;
  /** A new independent source, named so that forks of one parent differ. */
  fork(name: string): Rng;
}

/** Starts a source from any 32-bit seed (xoshiro128**, Blackman and Vigna 2018). */
export function createRng(seed: number): Rng {
  const state = new Uint32Array(4);
  let mix = seed >>> 0;
  for (let i = 0; i < 4; i += 1) {
    mix = (mix + 0x9e3779b9) >>> 0;
    state[i] = scramble(mix);
  }
  return {
    below: (bound) => next(state) % bound,
    fork: (name) => createRng(scramble(next(state) ^ hashText(name))),
  };
}

/** A 32-bit hash of text, stable across versions: FNV-1a and a finishing mix. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return scramble(hash >>> 0);
}

function scramble(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function next(state: Uint32Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = state;
  const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
  const c1 = c ^ a;
  const d1 = d ^ b;
  state[1] = b ^ c1;
  state[0] = a ^ d1;
  state[2] = c1 ^ (b << 9);
  state[3] = rotate(d1, 11);
  return result;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
