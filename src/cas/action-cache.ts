// The door to the action cache: results by action. Unlike blobs they are not verifiable by name, so
// who may write is the ingress's business, and what they name must exist (see completeness.ts).

import { type Digest, digestKey, parseDigestKey } from "../core/digest.ts";

/** Names a result: equal actions of different instances or functions do not share one. */
export interface ActionKey {
  readonly instance: string;
  readonly action: Digest;
}

/** A cached result: the serialised REAPI `ActionResult` and when it was stored. */
export interface CachedResult {
  readonly bytes: Uint8Array;
  /** Unix ms. */
  readonly storedAtMs: number;
}

/** Action results by key. */
export interface ActionCache {
  /** Undefined on a miss. A hit extends the life of the entry. */
  get(key: ActionKey): Promise<CachedResult | undefined>;
  put(key: ActionKey, bytes: Uint8Array): Promise<void>;
}

/** A key as one string. Digests hold no space, so the two parts cannot run together. */
export function actionKeyText(key: ActionKey): string {
  return `${digestKey(key.action)} ${key.instance}`;
}

/** Reads what `actionKeyText` wrote; undefined for anything else. */
export function parseActionKeyText(text: string): ActionKey | undefined {
  const end = text.indexOf(" ");
  const action = end < 0 ? undefined : parseDigestKey(text.slice(0, end));
  return action && { instance: text.slice(end + 1), action };
}
