// Under which name results are kept that depend on the tools of the machine they were made on.
//
// An action that names its toolchain has that in its digest. One that does not is run with the
// toolchain of the node that took it, and kept as if that were part of its instance's name: equal
// actions made with other tools are other actions (docs/adr/0023-toolchain-names.md).

import type { CompleteActionCache, CompleteResult } from "../cas/completeness.ts";
import type { Digest } from "../core/digest.ts";
import { phaseMs, readExecutionTimes } from "../wire/execution-times.ts";

/** What came of looking for a result. */
export interface LookUp {
  readonly hit: boolean;
  /** For which invocation; empty where that is not known. */
  readonly invocation: string;
  /** How long the command had run whose result was found, ms; 0 where nobody tells. */
  readonly savedMs: number;
}

/** Where results are looked up, and who counts that. */
export interface LookUpDeps {
  readonly actionCache: CompleteActionCache;
  /** Told of each lookup. */
  readonly onLookUp: (look: LookUp) => void;
}

/**
 * The instance of results made with a toolchain; the instance itself where `toolchain` is empty.
 * No client can name one: instance names hold no tab.
 */
export function scopeOf(instance: string, toolchain: string): string {
  return toolchain === "" ? instance : `${instance}\t${toolchain}`;
}

/**
 * Where the result of an action may be of which only the digest is known: made with this node's
 * toolchain, or with one that the action itself names. It is never in both.
 */
export function scopesOf(instance: string, toolchain: string): ReadonlySet<string> {
  return new Set([scopeOf(instance, toolchain), instance]);
}

/** The result of an action in the first of these scopes that has one. */
export async function lookUp(
  { actionCache, onLookUp }: LookUpDeps,
  action: Digest,
  scopes: Iterable<string>,
  invocation: string,
): Promise<CompleteResult | undefined> {
  const asked = [...scopes].map((instance) => actionCache.get({ instance, action }));
  const found = (await Promise.all(asked)).find((result) => result !== undefined);
  const times = readExecutionTimes(found?.result.executionMetadata);
  const savedMs = times === undefined ? 0 : phaseMs(times).run;
  onLookUp({ hit: found !== undefined, invocation, savedMs });
  return found;
}
