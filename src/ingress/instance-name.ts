// REAPI instance names: any text that cannot be mistaken for something else further on.

import { MeshError } from "../core/error.ts";

/** Characters of the longest instance name; keys of the action cache and peers hold it whole. */
export const instanceCharsMax = 256;

/** Path segments that name other things (REAPI, "instance name" in resource names). */
const reservedSegments = new Set([
  "blobs",
  "uploads",
  "actions",
  "actionResults",
  "operations",
  "capabilities",
  "compressed-blobs",
]);

/**
 * Checks an instance name, which may be empty and may hold slashes. INVALID_ARGUMENT for a reserved
 * segment, a control character (cache keys end at NUL) or over `instanceCharsMax` characters.
 */
export function checkInstance(instance: string): string {
  if (instance.length > instanceCharsMax) {
    const what = `instance_name has ${instance.length} characters`;
    throw new MeshError("INVALID_ARGUMENT", `${what}; at most ${instanceCharsMax} are taken.`);
  }
  if (/\p{Cc}/u.test(instance)) {
    throw new MeshError("INVALID_ARGUMENT", "instance_name holds a control character.");
  }
  const reserved = instance.split("/").find((segment) => reservedSegments.has(segment));
  if (reserved === undefined) return instance;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `instance_name holds the segment "${reserved}", which REAPI reserves. Choose another name.`,
  );
}
