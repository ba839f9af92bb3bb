// Callers by bearer token (RFC 6750) or client certificate. Tokens are kept as hashes only.

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { MeshError } from "../core/error.ts";
import { type Access, type Caller, isRole, type Role, rightsByRole } from "./access.ts";

/** How callers are known. */
export interface CallerOptions {
  /** Lines of `TOKEN ROLE [NAME]`; read again when it changes. */
  readonly tokenFile: string | undefined;
  /** What callers may do who show neither token nor certificate. */
  readonly anonymous: Role;
}

/** Shorter tokens are refused: they can be guessed. */
const tokenCharsMin = 16;
/** Bound: bytes of a token file. */
const fileBytesMax = 1 << 20;
/** A changed file is noticed after this time at most, in ms. */
const lookEveryMs = 1000;

/** Reads the token file, and again whenever it has changed. INVALID_ARGUMENT names a bad line. */
export function createAccess(deps: { readonly now: () => number }, options: CallerOptions): Access {
  const { tokenFile, anonymous } = options;
  let callerByHash = tokenFile === undefined ? new Map() : readTokens(tokenFile);
  let changedMs = tokenFile === undefined ? 0 : statSync(tokenFile).mtimeMs;
  let lookedMs = deps.now();

  function readAgain(): void {
    if (tokenFile === undefined || deps.now() - lookedMs < lookEveryMs) return;
    lookedMs = deps.now();
    const found = statSync(tokenFile, { throwIfNoEntry: false });
    if (found === undefined || found.mtimeMs === changedMs) return;
    changedMs = found.mtimeMs;
    try {
      callerByHash = readTokens(tokenFile);
    } catch {
      // Half written, perhaps: the old tokens stay until the file makes sense again.
    }
  }

  return {
    identify: ({ authorization, subject }) => {
      readAgain();
      const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
      // A node that knows no tokens asks for none, and takes no offence at one.
      if (token !== undefined && tokenFile !== undefined) {
        const known: Caller | undefined = callerByHash.get(hashOf(token));
        if (known !== undefined) return known;
        throw new MeshError("UNAUTHENTICATED", "The token is not known here. Ask for a new one.");
      }
      if (subject !== undefined) return callerOf(subject);
      return { name: "", role: anonymous };
    },
  };
}

/** Parses a token file. Everybody else on the machine must be kept from reading it. */
export function readTokens(path: string): Map<string, Caller> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) {
    throw new MeshError("INVALID_ARGUMENT", `There is no token file ${path}.`);
  }
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
  const callerByHash = new Map<string, Caller>();
  for (const [at, line] of readFileSync(path, "utf8").split("\n").entries()) {
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
    if (token.length < tokenCharsMin) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `${place}: the token has under ${tokenCharsMin} characters. Make one: openssl rand -hex 24`,
      );
    }
    const known = name.join(" ") || `token of line ${at + 1}`;
    callerByHash.set(hashOf(token), { name: known, role });
  }
  return callerByHash;
}

/** The roles, for messages. */
export function roleNames(): string {
  return Object.keys(rightsByRole).join(", ");
}

/** A certificate's organizational unit may name a role; without one its owner is a client. */
function callerOf(subject: Readonly<Record<string, unknown>>): Caller {
  const [name, unit] = [subject["CN"], subject["OU"]];
  return {
    name: typeof name === "string" ? name : "certificate",
    role: isRole(unit) ? unit : "client",
  };
}

/** Looking a hash up takes no time that would tell how much of a token was right. */
function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
