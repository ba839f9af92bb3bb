// Callers by bearer token (RFC 6750) or client certificate. Tokens are kept as hashes only.

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Access, Caller } from "./access.ts";
import { isRole, type Role, rightsByRole } from "./roles.ts";
import { type Watched, watchFiles } from "./watched-files.ts";

/** How callers are known. */
export interface CallerOptions {
  /** Lines of `TOKEN ROLE [NAME]`; read again when it changes. */
  readonly tokenFile: string | undefined;
  /** Of the same form: the token of whoever runs a node that has no token file. */
  readonly ownerFile?: string | undefined;
  /** What callers may do who show neither token nor certificate. */
  readonly anonymous: Role;
}

/** Shorter tokens are refused: they can be guessed. */
const tokenCharsMin = 16;
/** Bound: bytes of a token file. */
const fileBytesMax = 1 << 20;
/** A changed file is noticed after this time at most, in ms. */
const lookEveryMs = 1000;

const remedies = {
  tokens: "Send a token that has it (authorization: Bearer …), or ask whoever runs this node.",
  owner:
    "This node knows its owner by a token in its store (mesh/owner.token): run `builder` as the " +
    "user of the node, on its machine, with the node's --store. For others, serve it with --token-file.",
};

/** Reads the token file, and again whenever it has changed. INVALID_ARGUMENT names a bad line. */
export function createAccess(
  deps: { readonly now: () => number; readonly log: Log },
  options: CallerOptions,
): Access {
  const { tokenFile, ownerFile, anonymous } = options;
  const callers = watchCallers(deps, options);

  return {
    remedy: tokenFile === undefined && ownerFile !== undefined ? remedies.owner : remedies.tokens,
    identify: ({ authorization, subject }) => {
      const token = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
      const known = token === undefined ? undefined : callers?.latest().get(hashOf(token));
      if (known !== undefined) return known;
      // A node that gave out no tokens asks for none, and takes no offence at one.
      if (token !== undefined && tokenFile !== undefined) {
        throw new MeshError("UNAUTHENTICATED", "The token is not known here. Ask for a new one.");
      }
      if (subject !== undefined) return callerOf(subject);
      return { name: "", role: anonymous };
    },
  };
}

/** Callers by the hash of their token; undefined for a node that knows none. */
function watchCallers(
  deps: { readonly now: () => number; readonly log: Log },
  { tokenFile, ownerFile }: CallerOptions,
): Watched<ReadonlyMap<string, Caller>> | undefined {
  if (tokenFile !== undefined) {
    const read = () => readTokens(tokenFile);
    return watchFiles(deps, { paths: [tokenFile], name: "tokens", lookEveryMs, read });
  }
  if (ownerFile === undefined) return undefined;
  const read = () =>
    parseTokens(
      ownerFile,
      reading(() => readFileSync(ownerFile, "utf8")),
    );
  return watchFiles(deps, { paths: [ownerFile], name: "owner's token", lookEveryMs, read });
}

/**
 * Parses a token file: callers by the hash of their token. Everybody else on the machine must be
 * kept from reading it. INVALID_ARGUMENT names the line; a token is never part of a message.
 */
export function readTokens(path: string): Map<string, Caller> {
  return parseTokens(path, readPrivate(path));
}

function parseTokens(path: string, content: string): Map<string, Caller> {
  const callerByHash = new Map<string, Caller>();
  for (const [at, line] of content.split("\n").entries()) {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    const [token = "", role, ...name] = text.split(/\s+/);
    const place = `${path}:${at + 1}`;
    if (!isRole(role)) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `${place}: a line wants TOKEN ROLE [NAME], the role one of ${roleNames()}.`,
      );
    }
    checkToken(token, place);
    const hash = hashOf(token);
    if (callerByHash.has(hash)) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `${place}: the token stands on an earlier line, too.`,
      );
    }
    callerByHash.set(hash, { name: name.join(" ") || `token of line ${at + 1}`, role });
  }
  return callerByHash;
}

function readPrivate(path: string): string {
  return reading(() => {
    const stat = statSync(path);
    if (!stat.isFile()) throw new MeshError("INVALID_ARGUMENT", `${path} is no token file.`);
    if ((stat.mode & 0o077) !== 0) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `Others can read the token file ${path}. Keep it to yourself: chmod 600 ${path}`,
      );
    }
    if (stat.size > fileBytesMax) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `The token file ${path} is over ${fileBytesMax} bytes.`,
      );
    }
    return readFileSync(path, "utf8");
  });
}

function reading(read: () => string): string {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `The token file cannot be read: ${why}.`, { cause });
  }
}

function checkToken(token: string, place: string): void {
  const make = "Make one: openssl rand -hex 24";
  if (token.length < tokenCharsMin) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${place}: the token has under ${tokenCharsMin} characters. ${make}`,
    );
  }
  if (/^[\x21-\x7e]+$/.test(token)) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${place}: the token has characters that no header carries. ${make}`,
  );
}

/** The roles, for messages. */
export function roleNames(): string {
  return Object.keys(rightsByRole).join(", ");
}

/** A certificate's organizational unit may name a role; without one its owner is a client. */
function callerOf(subject: Readonly<Record<string, unknown>>): Caller {
  const [name, unit] = [subject["CN"], subject["OU"]];
  return {
    name: typeof name === "string" && name !== "" ? name : "certificate",
    role: isRole(unit) ? unit : "client",
  };
}

/** Looking a hash up takes no time that would tell how much of a token was right. */
function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
