// From where a node may fetch: URL prefixes that its user named, and never by accident an address
// inside its own network. A client chooses the URL, but it is the node that connects.

import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { MeshError } from "../core/error.ts";

/** A fetch failed for a reason at the origin: told inside the answer, not as the call's status. */
export class OriginError extends MeshError {}

/** What a rule grants: every address of a host it names, or only addresses open to the world. */
export type Grant = "any-address" | "public-address";

/** Decides about URLs. */
export interface OriginRules {
  /** Undefined where no rule allows the URL. */
  grantOf(url: URL): Grant | undefined;
}

interface Rule {
  readonly origin: string;
  /** Segments of the path; an allowed URL begins with them. */
  readonly path: readonly string[];
}

/**
 * Rules from prefixes such as `https://github.com/` or `https://host/folder`, which end at a slash
 * whether they say so or not; `*` allows every public host. INVALID_ARGUMENT names a bad prefix.
 */
export function parseOriginRules(prefixes: readonly string[]): OriginRules {
  const rules = prefixes.filter((prefix) => prefix !== "*").map(parseRule);
  const all = prefixes.includes("*");
  return {
    grantOf: (url) => {
      if (!isHttp(url)) return undefined;
      if (rules.some((rule) => matches(rule, url))) return "any-address";
      return all ? "public-address" : undefined;
    },
  };
}

/** True for the URLs that can be fetched at all. */
export function isHttp(url: URL): boolean {
  return url.protocol === "http:" || url.protocol === "https:";
}

function parseRule(prefix: string): Rule {
  const url = URL.canParse(prefix) ? new URL(prefix) : undefined;
  const rest = url && url.username + url.password + url.search + url.hash;
  const path = url && segmentsOf(url);
  if (url === undefined || path === undefined || !isHttp(url) || rest !== "") {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `--fetch-allow ${prefix} is no URL prefix. It wants one such as https://github.com/, or *.`,
    );
  }
  return { origin: url.origin, path };
}

function matches(rule: Rule, url: URL): boolean {
  if (url.origin !== rule.origin) return false;
  if (rule.path.length === 0) return true;
  const path = segmentsOf(url);
  return path !== undefined && rule.path.every((segment, at) => segment === path[at]);
}

/**
 * Decoded segments without empty ones at the end; undefined where a server might read more into
 * the path than the rule does, such as `..` behind an encoded slash.
 */
function segmentsOf(url: URL): string[] | undefined {
  try {
    const segments = url.pathname.slice(1).split("/").map(decodeURIComponent);
    while (segments.at(-1) === "") segments.pop();
    const doubtful = segments.some((segment) => /[/\\]/.test(segment) || segment === "..");
    return doubtful ? undefined : segments;
  } catch {
    return undefined;
  }
}

/** Blocks that IANA's special-purpose registries keep from the public Internet. */
const special = new BlockList();
for (const block of [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
]) {
  const [address = "", bits] = block.split("/");
  special.addSubnet(address, Number(bits), "ipv4");
}
// Teredo, documentation and 6to4, which carry IPv4 addresses or nothing.
for (const block of ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]) {
  const [address = "", bits] = block.split("/");
  special.addSubnet(address, Number(bits), "ipv6");
}
const globalIpv6 = new BlockList();
globalIpv6.addSubnet("2000::", 3, "ipv6");

/** True for an address that belongs to nobody's inner network. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !special.check(address, "ipv4");
  return family === 6 && globalIpv6.check(address, "ipv6") && !special.check(address, "ipv6");
}

/** Throws PERMISSION_DENIED for a host that is itself an address and must not be connected to. */
export function checkLiteralHost(url: URL, grant: Grant): void {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (grant === "any-address" || isIP(host) === 0 || isPublicAddress(host)) return;
  throw inner(url.hostname, host);
}

/**
 * Resolves names as Node does, leaving out what must not be connected to. It is handed to the
 * socket itself, so that what was checked is what is connected, however often a name changes.
 */
export function lookupFor(grant: Grant): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, []);
      const open = found.filter(
        ({ address }) => grant === "any-address" || isPublicAddress(address),
      );
      const [first] = open;
      if (first === undefined) done(inner(hostname, found[0]?.address ?? "nothing"), []);
      else if (options.all === true) done(null, open);
      else done(null, first.address, first.family);
    });
  };
}

function inner(host: string, address: string): OriginError {
  return new OriginError(
    "PERMISSION_DENIED",
    `${host} is at ${address}, which is no public address. If that is meant, name the host: ` +
      `--fetch-allow https://${host}/`,
  );
}
