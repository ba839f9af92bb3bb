// Serves the dashboard: one page, one live stream, and a few questions. It only looks: nothing here
// changes a node. The log is for admins; to others the page shows a form for a token.

import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { join } from "node:path";
import { type Code, failureOf, MeshError } from "../core/error.ts";
import type { Access, Caller } from "../ingress/access.ts";
import type { BuildEvents } from "../ingress/build-events.ts";
import { hasRight, type Right } from "../ingress/roles.ts";
import type { TlsFiles } from "../ingress/transport-security.ts";
import type { HostPort } from "./config.ts";
import { createDoor, loginPage } from "./dashboard-door.ts";
import { createFeed, type FeedSources, type Reader } from "./dashboard-feed.ts";
import { listenAt } from "./listen.ts";

/** What it shows and where it is found. */
export interface DashboardDeps extends FeedSources {
  readonly invocations: BuildEvents;
  readonly access: Access;
  /** Folder of the built page. */
  readonly pageFolder: string;
}

/** Bounds of what browsers may take. */
export const dashboardBounds = {
  /** Connections at once; further ones are closed at once. */
  connectionsMax: 256,
  /** Pages that follow at once; further ones are told to come again later. */
  readersMax: 100,
  /** A connection that asks nothing for so long, in ms, is closed. */
  idleMs: 30_000,
  /** So often a page hears that the stream is alive, in ms. */
  aliveMs: 15_000,
};

/** A dashboard that is served. */
export interface DashboardServer {
  /** URL as bound. */
  readonly url: string;
  close(): void;
}

const files: Readonly<Record<string, readonly [name: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/page.css": ["page.css", "text/css; charset=utf-8"],
};

const statusByCode: Partial<Record<Code, number>> = {
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  INVALID_ARGUMENT: 400,
  UNAVAILABLE: 503,
};

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const headers = {
  "content-security-policy":
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

/** Listens. UNAVAILABLE names a port that is in use; INVALID_ARGUMENT an address that cannot be. */
export async function startDashboard(
  deps: DashboardDeps,
  address: HostPort,
  tls: TlsFiles | undefined,
): Promise<DashboardServer> {
  const feed = createFeed(deps);
  const door = createDoor(deps.access, { secure: tls !== undefined, host: address.host });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const url = URL.parse(request.url ?? "/", "http://dashboard");
    if (url === null) {
      refuse(response, "", new MeshError("INVALID_ARGUMENT", "That is no address of a page."));
      return;
    }
    reply(request, response, url).catch((e: unknown) => refuse(response, url.pathname, e));
  }

  async function reply(request: IncomingMessage, response: ServerResponse, url: URL) {
    const { pathname } = url;
    if (request.method === "POST" && pathname === "/login") return door.logIn(request, response);
    if (request.method !== "GET") throw new MeshError("NOT_FOUND", "There is nothing to change.");
    // Its look tells nothing and is wanted before a token is given.
    if (pathname === "/page.css") return sendFile(deps.pageFolder, pathname, response);
    const caller = door.enter(request);
    demand(caller, "read", deps.access);
    if (pathname === "/live") return follow(request, response);
    if (files[pathname]) return sendFile(deps.pageFolder, pathname, response);
    sendJson(response, await ask(deps, caller, url));
  }

  function follow(request: IncomingMessage, response: ServerResponse): void {
    if (feed.readers >= dashboardBounds.readersMax) {
      throw new MeshError("UNAVAILABLE", "Too many pages follow this node. Close one.");
    }
    request.socket.setTimeout(0);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("retry: 2000\n\n");
    const reader: Reader = {
      isReady: () => !response.writableNeedDrain,
      send: (frame) => void response.write(frame),
      end: () => response.destroy(),
    };
    const alive = setInterval(() => {
      if (mayStillRead(request)) response.write(":\n\n");
      else response.destroy();
    }, dashboardBounds.aliveMs);
    const leave = feed.open(reader);
    response.on("close", () => {
      clearInterval(alive);
      leave();
    });
  }

  /** A token that was taken back ends what it began. */
  function mayStillRead(request: IncomingMessage): boolean {
    try {
      return hasRight(door.enter(request).role, "read");
    } catch {
      return false;
    }
  }

  const server = listener(tls, answer);
  server.maxConnections = dashboardBounds.connectionsMax;
  server.setTimeout(dashboardBounds.idleMs, (socket) => socket.destroy());
  const bound = await listenAt(server, "--dashboard", address).catch((error: unknown) => {
    feed.close();
    throw error;
  });
  return {
    url: `${tls === undefined ? "http" : "https"}://${bound}/`,
    close: () => {
      feed.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Answers one question of a page. */
async function ask(deps: DashboardDeps, caller: Caller, url: URL): Promise<unknown> {
  const text = (name: string) => url.searchParams.get(name) ?? "";
  const number = (name: string) => Number.parseInt(text(name), 10) || 0;
  switch (url.pathname) {
    case "/api/actions":
      return deps.insight.actions({
        ...{ filter: text("filter"), limit: number("limit"), skip: number("skip") },
      });
    case "/api/why":
      return deps.insight.explain({ action: text("action") });
    case "/api/invocation":
      return deps.invocations.get(text("id"));
    case "/api/build":
      return deps.insight.build({ invocation: text("invocation") });
    case "/api/caller":
      return { mayReadLog: hasRight(caller.role, "admin"), remedy: deps.access.remedy };
    case "/api/log":
      demand(caller, "admin", deps.access);
      return deps.insight.log({
        ...{ node: text("node"), after: number("after"), limit: number("limit") },
        ...{ all: text("all") === "true", search: text("search") },
      });
    default:
      throw new MeshError("NOT_FOUND", "There is no such page.");
  }
}

function demand({ role }: Caller, right: Right, { remedy }: Pick<Access, "remedy">): void {
  if (hasRight(role, right)) return;
  if (role === "none") throw new MeshError("UNAUTHENTICATED", "This node wants a token.");
  throw new MeshError("PERMISSION_DENIED", `The role ${role} may not see that. ${remedy}`);
}

function refuse(response: ServerResponse, pathname: string, error: unknown): void {
  const { code, message } = failureOf(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const isPage = code === "UNAUTHENTICATED" && pathname === "/";
  const type = isPage ? "text/html" : "application/json";
  response.writeHead(statusByCode[code] ?? 500, { "content-type": `${type}; charset=utf-8` });
  response.end(isPage ? loginPage(message) : JSON.stringify({ code, message }));
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(value));
}

function sendFile(folder: string, pathname: string, response: ServerResponse): void {
  const [name = "", type = ""] = files[pathname] ?? [];
  const path = join(folder, name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    const text = "The dashboard was not built. Run `npm run prepare` where Builder is installed.";
    throw new MeshError("UNAVAILABLE", text);
  }
  response.writeHead(200, { "content-type": type, "content-length": stat.size });
  createReadStream(path)
    .on("error", () => response.destroy())
    .pipe(response);
}

function listener(
  tls: TlsFiles | undefined,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const { idleMs } = dashboardBounds;
  const times = { requestTimeout: idleMs, headersTimeout: idleMs };
  if (tls === undefined) return createServer(times, answer);
  const pem = { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  return createTlsServer({ ...times, ...pem }, answer);
}
