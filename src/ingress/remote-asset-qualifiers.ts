// What the qualifiers of a Remote Asset request ask for, checked once, and in one form for the key
// of an association, whatever order or spelling a client prefers.

import { validateHeaderName, validateHeaderValue } from "node:http";
import { MeshError } from "../core/error.ts";
import type { WrongField } from "../wire/status.ts";
import { type Integrity, parseIntegrity } from "./remote-asset-integrity.ts";

/** A name and a value. */
export interface Qualifier {
  readonly name: string;
  readonly value: string;
}

/** The qualifiers of one request. */
export interface AssetQualifiers {
  /** What the content must hash to; undefined where anything will do. */
  readonly integrity: Integrity | undefined;
  /** True where content is to be trusted only under the same name, equal hash or not (Bazel). */
  readonly hasCanonicalId: boolean;
  /** HTTP headers for the request's `at`th URI, names in lower case. */
  headersOf(at: number): Readonly<Record<string, string>>;
  /** What an association for the `at`th URI is kept under. */
  keyOf(at: number): readonly Qualifier[];
  /** What no fetch from an origin can honour. */
  readonly unsupported: readonly WrongField[];
}

/** Content that a plain download brings. */
const resourceTypes = new Set([
  "application/octet-stream",
  "application/gzip",
  "application/x-gzip",
  "application/zip",
  "application/x-zip-compressed",
  "application/x-tar",
  "application/x-gtar",
  "application/x-bzip2",
  "application/x-xz",
  "application/zstd",
  "application/x-7z-compressed",
  "application/java-archive",
]);

/** Headers that would change what is sent how, or which part of the content comes back. */
const ownHeaders = new Set([
  "host",
  "connection",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "range",
  "accept-encoding",
]);
const ownFamilies = /^(proxy|content|if)-/;

const known = { sri: "checksum.sri", canonicalId: "bazel.canonical_id", type: "resource_type" };
/** Headers by URI or host as JSON: how Bazel before version 7 sends credentials. */
const legacyHeaders = "bazel.auth_headers";
const headerForAll = /^http_header:(.+)$/s;
const headerForOne = /^http_header_url:(\d+):(.+)$/s;

/** Reads qualifiers. INVALID_ARGUMENT for doubled names and malformed values. */
export function readQualifiers(
  qualifiers: readonly Qualifier[],
  uris: readonly string[],
): AssetQualifiers {
  checkUnique(qualifiers);
  const findValue = (name: string) => qualifiers.find((one) => one.name === name)?.value;
  const headers = readHeaders(qualifiers, uris);
  const plain = qualifiers.filter(({ name }) => !isHeader(name)).map(normal);
  const sri = findValue(known.sri);
  const integrity = sri === undefined ? undefined : parseIntegrity(sri);
  const headersOf = (at: number) => Object.fromEntries(headers[at] ?? []);
  return {
    integrity,
    hasCanonicalId: (findValue(known.canonicalId) ?? "") !== "",
    headersOf,
    keyOf: (at) => [
      ...plain,
      ...Object.entries(headersOf(at)).map(([name, value]) => ({
        name: `http_header:${name}`,
        value,
      })),
    ],
    unsupported: [
      ...plain.flatMap((qualifier) => unsupported(qualifier, integrity)),
      ...[...new Set(headers.flatMap((map) => [...map.keys()]))]
        .filter((name) => ownHeaders.has(name) || ownFamilies.test(name))
        .map((name) => notSupported(`http_header:${name}`)),
    ],
  };
}

function checkUnique(qualifiers: readonly Qualifier[]): void {
  const seen = new Set<string>();
  for (const { name } of qualifiers) {
    if (name === "") throw new MeshError("INVALID_ARGUMENT", "A qualifier has no name.");
    // The names of headers know no case.
    const one = isHeader(name) ? name.toLowerCase() : name;
    if (seen.has(one)) {
      throw new MeshError("INVALID_ARGUMENT", `Qualifier ${quote(name)} is given twice.`);
    }
    seen.add(one);
  }
}

function isHeader(name: string): boolean {
  return name === legacyHeaders || headerForAll.test(name) || headerForOne.test(name);
}

/** Order and spacing of hashes mean nothing. */
function normal({ name, value }: Qualifier): Qualifier {
  if (name !== known.sri) return { name, value };
  return { name, value: value.trim().split(/\s+/).sort().join(" ") };
}

/** Headers of each URI; those for one URI win over those for all. */
function readHeaders(
  qualifiers: readonly Qualifier[],
  uris: readonly string[],
): ReadonlyMap<string, string>[] {
  const byUri = uris.map(() => new Map<string, string>());
  const put = (at: number, name: string, value: string) => {
    checkHeader(name, value);
    byUri[at]?.set(name.toLowerCase(), value);
  };
  for (const { name, value } of qualifiers) {
    const header = headerForAll.exec(name)?.[1];
    if (header !== undefined) for (const at of uris.keys()) put(at, header, value);
  }
  for (const { name, value } of qualifiers) {
    if (name !== legacyHeaders) continue;
    for (const [where, header, text] of parseLegacy(value)) {
      for (const [at, uri] of uris.entries()) {
        if (uri === where || hostOf(uri) === where) put(at, header, text);
      }
    }
  }
  for (const { name, value } of qualifiers) {
    const [, at, header] = headerForOne.exec(name) ?? [];
    if (header === undefined) continue;
    if (Number(at) >= uris.length) {
      const message = `Qualifier ${quote(name)} is for a URI that the request does not name.`;
      throw new MeshError("INVALID_ARGUMENT", message);
    }
    put(Number(at), header, value);
  }
  return byUri;
}

function checkHeader(name: string, value: string): void {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    throw new MeshError("INVALID_ARGUMENT", `${quote(name)} is no HTTP header, or its value none.`);
  }
}

/** `{"URI or host": {"header": "value"}}` as triples. */
function parseLegacy(text: string): [where: string, header: string, value: string][] {
  const wrong = new MeshError(
    "INVALID_ARGUMENT",
    `${legacyHeaders} wants JSON such as {"https://host/": {"Authorization": "Bearer …"}}.`,
  );
  const entriesOf = (value: unknown): [string, unknown][] => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong;
    return Object.entries(value);
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong;
  }
  return entriesOf(parsed).flatMap(([where, headers]) =>
    entriesOf(headers).map(([header, value]): [string, string, string] => {
      if (typeof value !== "string") throw wrong;
      return [where, header, value];
    }),
  );
}

function hostOf(uri: string): string | undefined {
  return URL.canParse(uri) ? new URL(uri).host : undefined;
}

function unsupported({ name, value }: Qualifier, integrity: Integrity | undefined): WrongField[] {
  if (name === known.canonicalId) return [];
  if (name === known.sri && integrity !== undefined) return [];
  if (name === known.type && resourceTypes.has(value)) return [];
  if (name !== known.sri && name !== known.type) return [notSupported(name)];
  return [
    {
      field: "qualifiers.value",
      description: `${name} ${quote(value)} not supported`,
    },
  ];
}

/** Field and text are those of the API (remote_asset.proto, Fetch.FetchBlob). */
function notSupported(name: string): WrongField {
  return { field: "qualifiers.name", description: `${quote(name)} not supported` };
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
