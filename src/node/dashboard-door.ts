// Who may look at the dashboard. Callers are those of the ingress: a token of the token file, which
// a page keeps in a cookie that no script can read, or whatever callers without one may do.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { failureOf, MeshError } from "../core/error.ts";
import type { Access, Caller } from "../ingress/access.ts";

/** The cookie that holds a token. */
const cookie = "builder-token";
const notKnown = "The token is not known here. Copy it again.";
/** Bound: bytes of a form with a token. */
const formBytesMax = 4096;

/** How the door is kept. */
export interface DoorOptions {
  /** True where the page comes over TLS: its cookie then never travels without. */
  readonly secure: boolean;
  /** The host that it listens on, for people who typed a name. */
  readonly host: string;
}

/** Knows who asks. */
export interface Door {
  /** UNAUTHENTICATED for an unknown token; PERMISSION_DENIED for a page of another site's name. */
  enter(request: IncomingMessage): Caller;
  /** Takes a token from a form and answers. */
  logIn(request: IncomingMessage, response: ServerResponse): void;
}

/** Makes the door. */
export function createDoor(access: Access, options: DoorOptions): Door {
  return {
    enter: (request) => {
      checkName(request.headers.host, options.host);
      const token = tokenOf(request.headers.cookie);
      const { authorization = token && `Bearer ${token}` } = request.headers;
      return access.identify({ authorization, subject: undefined });
    },
    logIn: (request, response) => {
      // What follows of a form that is too large is not read.
      response.setHeader("connection", "close");
      readForm(request)
        .then((form) => {
          const token = (form.get("token") ?? "").trim();
          const caller = access.identify({ authorization: `Bearer ${token}`, subject: undefined });
          // A node without tokens takes no offence at one; who gave one wants to hear of it.
          if (caller.name === "") throw new MeshError("UNAUTHENTICATED", notKnown);
          const flags = `Path=/; HttpOnly; SameSite=Strict${options.secure ? "; Secure" : ""}`;
          response.writeHead(303, {
            location: "/",
            "set-cookie": `${cookie}=${encodeURIComponent(token)}; ${flags}`,
          });
          response.end();
        })
        .catch((error: unknown) => {
          response.writeHead(401, { "content-type": "text/html; charset=utf-8" });
          response.end(loginPage(failureOf(error).message));
        });
    },
  };
}

/** The page that asks for a token; `why` is a sentence of ours. */
export function loginPage(why: string): string {
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Builder</title>' +
    '<link rel="stylesheet" href="/page.css"><main class="door"><h1>Builder</h1>' +
    `<p role="alert">${escapeHtml(why)}</p><form method="post" action="/login">` +
    '<label>Token <input name="token" type="password" autocomplete="current-password" required>' +
    "</label> <button>Look</button></form></main></html>"
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/**
 * A page of another site whose name was made to lead here (DNS rebinding) must not read ours: names
 * are those of this machine, or plain addresses.
 */
function checkName(header: string | undefined, host: string): void {
  const name = (header ?? "")
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  if (isIP(name) !== 0 || name === "localhost" || name === host.toLowerCase()) return;
  throw new MeshError(
    "PERMISSION_DENIED",
    "Open the dashboard by the address of its machine, not by a name that others give it.",
  );
}

function tokenOf(header: string | undefined): string | undefined {
  for (const part of (header ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === cookie && value) return safeDecode(value);
  }
  return undefined;
}

function safeDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let bytes = 0;
  const parts: Buffer[] = [];
  const stream: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > formBytesMax) throw new MeshError("INVALID_ARGUMENT", "That is no token.");
    parts.push(part);
  }
  return new URLSearchParams(Buffer.concat(parts).toString());
}
