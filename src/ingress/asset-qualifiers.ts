// What narrows a Remote Asset request: checksums, headers for the download, and names that only
// tell one request from another (remote-apis, asset/v1/qualifiers.md).

import { MeshError } from "../core/error.ts";
import type { Qualifier } from "../wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";

/** One acceptable checksum (W3C, Subresource Integrity). */
export interface Checksum {
  readonly fn: "sha256" | "sha384" | "sha512";
  /** Lower-case hex. */
  readonly hash: string;
}

/** A header for the download of every URI, or of the one at this place. */
export interface AssetHeader {
  readonly at: number | "all";
  readonly name: string;
  readonly value: string;
}

/** Qualifiers, understood. */
export interface AssetQualifiers {
  /**
   * Any of these is right, all of one function, the strongest that was named; empty: none asked.
   */
  readonly checksums: readonly Checksum[];
  /** Headers for every URI, then for single ones by their place. */
  readonly headers: readonly AssetHeader[];
  /** What belongs to the asset's name: equal for equal requests, without headers. */
  readonly identity: string;
}

const strength = ["sha256", "sha384", "sha512"] as const;
/** Bounds of one request. */
const qualifiersMax = 64;
const valueCharsMax = 16_384;

/** INVALID_ARGUMENT, with a BadRequest detail, names the qualifiers that are not understood. */
export function readQualifiers(qualifiers: readonly Qualifier[]): AssetQualifiers {
  if (qualifiers.length > qualifiersMax) {
    throw new MeshError("INVALID_ARGUMENT", `At most ${qualifiersMax} qualifiers are taken.`);
  }
  const unknown = qualifiers.filter(({ name }) => !isKnown(name));
  if (unknown.length > 0) {
    const names = unknown.map(({ name }) => JSON.stringify(name.slice(0, 80)));
    throw new MeshError(
      "INVALID_ARGUMENT",
      `These qualifiers are not understood: ${names.join(", ")}. Leave them out.`,
      { badFields: unknown.map(({ name }) => name.slice(0, 200)) },
    );
  }
  for (const { name, value } of qualifiers) {
    if (value.length <= valueCharsMax && !/[\r\n\0]/.test(name + value)) continue;
    throw new MeshError("INVALID_ARGUMENT", `The value of qualifier ${name} is not possible.`);
  }
  const named = qualifiers.filter(({ name }) => !name.startsWith("http_header"));
  const pairs = named.map(({ name, value }) => [name, value] as const).sort();
  return {
    checksums: strongest(qualifiers.filter(({ name }) => name === "checksum.sri")),
    headers: qualifiers.flatMap(headerOf),
    identity: JSON.stringify(pairs),
  };
}

function isKnown(name: string): boolean {
  const plain = ["checksum.sri", "bazel.canonical_id", "resource_type"].includes(name);
  return plain || /^http_header:[^:]+$|^http_header_url:\d{1,4}:[^:]+$/.test(name);
}

function headerOf({ name, value }: Qualifier): AssetHeader[] {
  const [, header] = /^http_header:([^:]+)$/.exec(name) ?? [];
  if (header !== undefined) return [{ at: "all", name: header, value }];
  const [, at, own] = /^http_header_url:(\d+):([^:]+)$/.exec(name) ?? [];
  return own === undefined ? [] : [{ at: Number(at), name: own, value }];
}

function strongest(qualifiers: readonly Qualifier[]): Checksum[] {
  const all = qualifiers.flatMap(({ value }) => value.split(/\s+/).filter(Boolean).map(readSri));
  const best = [...strength].reverse().find((fn) => all.some((one) => one.fn === fn));
  return all.filter((one) => one.fn === best);
}

function readSri(text: string): Checksum {
  const [, fn, base64 = ""] = /^(sha256|sha384|sha512)-([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const known = strength.find((one) => one === fn);
  const hash = Buffer.from(base64, "base64").toString("hex");
  const digits = { sha256: 64, sha384: 96, sha512: 128 };
  if (known !== undefined && hash.length === digits[known]) return { fn: known, hash };
  throw new MeshError(
    "INVALID_ARGUMENT",
    `checksum.sri: ${JSON.stringify(text.slice(0, 200))} is no checksum such as sha256-BASE64.`,
    { badFields: ["checksum.sri"] },
  );
}
