// What each invocation took from the cache, and how much running that saved it.

/** What was taken. */
export interface Reused {
  readonly results: number;
  /** How long the commands had run that made them, ms. */
  readonly savedMs: number;
}

/** Counts for the invocations that asked last. */
export interface Reuse {
  count(invocation: string, savedMs: number): void;
  of(invocation: string): Reused;
  /** Those that are remembered, who asked last first. */
  invocations(): string[];
}

/** Bounds: invocations remembered, and what one result can save: others may have written it. */
const bounds = { invocations: 1000, savedMs: 7 * 86_400_000 };

/** Makes an empty one. */
export function createReuse(): Reuse {
  const reusedByInvocation = new Map<string, Reused>();
  return {
    count: (invocation, savedMs) => {
      const { results = 0, savedMs: before = 0 } = reusedByInvocation.get(invocation) ?? {};
      reusedByInvocation.delete(invocation);
      const more = Math.min(bounds.savedMs, Math.max(0, savedMs));
      reusedByInvocation.set(invocation, { results: results + 1, savedMs: before + more });
      const [oldest] = reusedByInvocation.keys();
      if (reusedByInvocation.size > bounds.invocations && oldest !== undefined) {
        reusedByInvocation.delete(oldest);
      }
    },
    of: (invocation) => reusedByInvocation.get(invocation) ?? { results: 0, savedMs: 0 },
    invocations: () => [...reusedByInvocation.keys()].reverse(),
  };
}
