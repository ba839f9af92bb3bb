// SHA256TREE: SHA-256 over leaves of 1 KiB, joined pairwise by one call of SHA-256's block function
// with other starting values (REAPI, DigestFunction.SHA256TREE). Node offers SHA-256 but not its
// block function, so that is here (FIPS 180-4, section 6.2.2).

import { hash as hashOnce } from "node:crypto";

const leafBytes = 1024;

/** The first 32 bits of the fractional part of the k-th root of each of the first primes. */
function fractions(from: number, count: number, root: (prime: number) => number): Uint32Array {
  const found: number[] = [];
  for (let n = 2, seen = 0; found.length < count; n += 1) {
    if (!isPrime(n)) continue;
    seen += 1;
    if (seen >= from) found.push(Math.floor((root(n) % 1) * 2 ** 32));
  }
  return Uint32Array.from(found);
}

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d += 1) if (n % d === 0) return false;
  return true;
}

const roundConstants = fractions(1, 64, Math.cbrt);
/** Square roots of the 9th to the 16th prime: a node never hashes like a leaf. */
const nodeStart = fractions(9, 8, Math.sqrt);

/** A hasher for a stream of any length. */
export function createTreeHasher(): { update(bytes: Uint8Array): void; hex(): string } {
  const leaf = Buffer.alloc(leafBytes);
  let filled = 0;
  let leaves = 0;
  /** Hashes of complete subtrees, the largest first; their sizes are the set bits of `leaves`. */
  const subtrees: Uint8Array[] = [];

  /** Called only when more bytes follow, so that the last leaf is joined as the last. */
  function closeLeaf(bytes: Uint8Array): void {
    let joined: Uint8Array = hashOnce("sha256", bytes, "buffer");
    leaves += 1;
    for (let size = leaves; size % 2 === 0; size /= 2) {
      const left = subtrees.pop();
      if (left !== undefined) joined = join(left, joined);
    }
    subtrees.push(joined);
  }

  return {
    update: (bytes) => {
      let at = 0;
      while (at < bytes.length) {
        if (filled === leafBytes) {
          closeLeaf(leaf);
          filled = 0;
        }
        // Whole leaves with bytes behind them are hashed where they lie.
        while (filled === 0 && bytes.length - at > leafBytes) {
          closeLeaf(bytes.subarray(at, at + leafBytes));
          at += leafBytes;
        }
        const taken = Math.min(leafBytes - filled, bytes.length - at);
        leaf.set(bytes.subarray(at, at + taken), filled);
        filled += taken;
        at += taken;
      }
    },
    hex: () => {
      let joined: Uint8Array = hashOnce("sha256", leaf.subarray(0, filled), "buffer");
      for (const left of subtrees.reverse()) joined = join(left, joined);
      return Buffer.from(joined).toString("hex");
    },
  };
}

const schedule = new Int32Array(64);

/** One call of the block function over two hashes; its result is not added to the start. */
function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  expand(left, right);
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = nodeStart;
  for (let i = 0; i < 64; i += 1) {
    const big1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + big1 + choice + (roundConstants[i] ?? 0) + (schedule[i] ?? 0)) | 0;
    const big0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + big0 + majority) | 0];
  }
  const joined = Buffer.alloc(32);
  for (const [at, word] of [a, b, c, d, e, f, g, h].entries())
    joined.writeInt32BE(word | 0, at * 4);
  return joined;
}

function expand(left: Uint8Array, right: Uint8Array): void {
  for (const [half, bytes] of [left, right].entries()) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
    for (let i = 0; i < 8; i += 1) schedule[half * 8 + i] = view.getInt32(i * 4);
  }
  for (let i = 16; i < 64; i += 1) {
    const near = schedule[i - 2] ?? 0;
    const far = schedule[i - 15] ?? 0;
    const small1 = turn(near, 17) ^ turn(near, 19) ^ (near >>> 10);
    const small0 = turn(far, 7) ^ turn(far, 18) ^ (far >>> 3);
    schedule[i] = ((schedule[i - 16] ?? 0) + small0 + (schedule[i - 7] ?? 0) + small1) | 0;
  }
}

/** Rotates 32 bits to the right. */
function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
