// Assertions stay on in production: a core that noticed it is wrong stops before it harms.

/** Throws when `condition` is false. For broken invariants only, never for bad input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}
