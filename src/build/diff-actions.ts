// What two actions have otherwise, for people who have their digests.

import { compareActions, readActionMessages } from "../cas/compare-actions.ts";
import { type Digest, parseDigestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";

/** Lines that say what action `now` has otherwise than `before`. NOT_FOUND where one is gone. */
export async function diffActions(
  get: (digest: Digest) => Promise<Uint8Array>,
  before: Digest,
  now: Digest,
): Promise<string[]> {
  const [last, present] = [
    await readActionMessages(get, before),
    await readActionMessages(get, now),
  ];
  const { found, partial } = await compareActions(get, last, present);
  if (found.length === 0) return ["The two actions have nothing otherwise."];
  const lines = found.map(({ kind, text }) => `${kind.padEnd("toolchain".length)}  ${text}`);
  return partial ? [...lines, "Not all of it was looked at."] : lines;
}

/** `HASH/SIZE` or `FUNCTION:HASH/SIZE` as a digest; undefined for anything else. */
export function readActionDigest(text: string): Digest | undefined {
  return parseDigestKey(text.includes(":") ? text : `sha256:${text}`);
}

/** INVALID_ARGUMENT for what names no action where nobody can be asked. */
export function noActionDigest(text: string): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(text.slice(0, 200))} is no digest. It wants HASH/SIZE, as ` +
      "`bldr build --explain` prints it; at a node (--remote) its first 6 digits or a target do.",
  );
}
