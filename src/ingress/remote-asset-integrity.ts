// What `checksum.sri` promises about bytes: Subresource Integrity metadata (W3C SRI, section 3).

import { hashDigits } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";

/**
 * The algorithms understood, the strongest last: SRI's own, BLAKE3, and SHA-1 because clients still
 * send it.
 */
const algorithms = ["sha1", "sha256", "blake3", "sha384", "sha512"] as const;

/** Hashes of which the content must have one. */
export interface Integrity {
  /** The strongest of those given; weaker ones do not count. */
  readonly algorithm: (typeof algorithms)[number];
  /** Lower-case hex. */
  readonly hashes: readonly string[];
}

/**
 * Parses `ALGORITHM-BASE64[?OPTION]`, several separated by white space. Unknown algorithms are
 * passed over; undefined where no known one is left. INVALID_ARGUMENT for a hash of another length.
 */
export function parseIntegrity(text: string): Integrity | undefined {
  const found = text
    .split(/\s+/)
    .filter((token) => token !== "")
    .flatMap((token) => {
      const [name = "", ...rest] = token.split("-");
      const algorithm = algorithms.find((known) => known === name);
      const [value = ""] = rest.join("-").split("?");
      return algorithm === undefined ? [] : [{ algorithm, hash: hexOf(algorithm, value) }];
    });
  const algorithm = algorithms.findLast((known) => found.some((one) => one.algorithm === known));
  if (algorithm === undefined) return undefined;
  const hashes = found.filter((one) => one.algorithm === algorithm).map(({ hash }) => hash);
  return { algorithm, hashes };
}

function hexOf(algorithm: (typeof algorithms)[number], base64: string): string {
  const hex = Buffer.from(base64, "base64").toString("hex");
  if (/^[\w+/-]+={0,2}$/.test(base64) && hex.length === hashDigits[algorithm]) return hex;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `checksum.sri: ${JSON.stringify(base64.slice(0, 100))} is no base64 of a ${algorithm} hash. ` +
      "It wants ALGORITHM-BASE64, not hex.",
  );
}
