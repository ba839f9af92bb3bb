// The dashboard's server over real sockets: who may look, and what hostile callers cost.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createAccess } from "../../src/ingress/callers.ts";
import type { Role } from "../../src/ingress/roles.ts";
import { resolveServeConfig } from "../../src/node/config.ts";
import { dashboardBounds, startDashboard } from "../../src/node/dashboard-server.ts";
import { keepOwnerToken } from "../../src/node/owner-token.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { meshSources } from "../support/dashboard-sources.ts";
import { eventually } from "../support/eventually.ts";

let folder: string;
const open: { close(): void }[] = [];
const tokens = { reader: "reader-token-0123456789", admin: "admin-token-0123456789" };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dashboard-"));
  mkdirSync(join(folder, "page"));
  for (const name of ["index.html", "page.js", "page.css"]) {
    writeFileSync(join(folder, "page", name), `the ${name}`);
  }
  return () => rmSync(folder, { recursive: true });
});
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

interface Given {
  readonly tokens?: boolean;
  /** As a node that was given none. */
  readonly ownerFile?: string;
  readonly hosts?: number;
  readonly pageFolder?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
}

async function start(given: Given = {}): Promise<{ url: string; port: number }> {
  const tokenFile = join(folder, "tokens");
  writeFileSync(tokenFile, `${tokens.reader} reader\n${tokens.admin} admin\n`, { mode: 0o600 });
  const { ownerFile } = given;
  const anonymous: Role = given.tokens ? "none" : ownerFile === undefined ? "admin" : "writer";
  const access = createAccess(
    { now: Date.now, log: () => undefined },
    { tokenFile: given.tokens ? tokenFile : undefined, ownerFile, anonymous },
  );
  const served = await startDashboard(
    {
      ...meshSources({ hosts: given.hosts ?? 2, actions: 20 }),
      ...{ access, pageFolder: given.pageFolder ?? join(folder, "page") },
    },
    { host: "127.0.0.1", port: 0 },
    given.tls && { ...given.tls, clientCa: undefined },
  );
  open.push(served);
  return { url: served.url, port: Number(new URL(served.url).port) };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** One request, exactly as said; `fetch` would mend paths and refuse headers. */
function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  { method = "GET", body = "" } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, method, headers, agent: false };
    const call = httpRequest(options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => {
        resolve({ status: response.statusCode, headers: response.headers, body: text });
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

/** What a socket hears after these bytes, until it is closed. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    socket.on("data", (chunk) => {
      heard += chunk.toString();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(heard));
  });
}

test("without tokens everybody on this machine sees the page, and nothing from elsewhere is in it", async () => {
  const { port } = await start();
  const page = await ask(port, "/");
  expect(page).toMatchObject({ status: 200, body: "the index.html" });
  expect(page.headers["content-security-policy"]).toContain("default-src 'self'");
  expect(page.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  expect(page.headers["x-content-type-options"]).toBe("nosniff");
  expect((await ask(port, "/page.js")).headers["content-type"]).toContain("text/javascript");
  expect(JSON.parse((await ask(port, "/api/actions?filter=ended&limit=5")).body).total).toBe(20);
  expect((await ask(port, "/api/log?limit=5")).body).toContain("secret line");
});

test("a node that knows its owner alone shows everybody the page, and its owner the log", async () => {
  const ownerFile = keepOwnerToken(folder, () => undefined);
  const [token = ""] = readFileSync(ownerFile, "utf8").split(" ");
  const { port } = await start({ ownerFile });
  expect((await ask(port, "/")).body).toBe("the index.html");
  const asked = JSON.parse((await ask(port, "/api/caller")).body);
  expect(asked).toEqual({ mayReadLog: false, remedy: expect.stringContaining("--store") });
  const refused = await ask(port, "/api/log?limit=5");
  expect(refused.status).toBe(403);
  expect(refused.body).not.toContain("secret line");
  const logIn = (given: string) =>
    ask(port, "/login", {}, { method: "POST", body: `token=${given}` });
  const wrong = await logIn("unknown-token-0123456789");
  expect([wrong.status, wrong.headers["set-cookie"]]).toEqual([401, undefined]);
  const [set = ""] = (await logIn(token)).headers["set-cookie"] ?? [];
  const headers = { cookie: set.split(";")[0] ?? "" };
  expect(JSON.parse((await ask(port, "/api/caller", headers)).body).mayReadLog).toBe(true);
  expect((await ask(port, "/api/log?limit=5", headers)).body).toContain("secret line");
});

test("with tokens: a form, a cookie that no script reads, and the rights of its role", async () => {
  const { port } = await start({ tokens: true });
  const asked = await ask(port, "/");
  expect(asked.status).toBe(401);
  expect(asked.body).toContain('<form method="post" action="/login">');
  expect((await ask(port, "/page.css")).status, "the form has a look").toBe(200);
  for (const path of ["/live", "/page.js", "/api/actions", "/api/why", "/api/log"]) {
    const refused = await ask(port, path);
    expect(refused.status, path).toBe(401);
    expect(refused.body, path).not.toContain("secret");
  }
  const logIn = (token: string) =>
    ask(port, "/login", {}, { method: "POST", body: `token=${encodeURIComponent(token)}` });
  const wrong = await logIn("<script>alert(1)</script>");
  expect(wrong.status).toBe(401);
  expect(wrong.headers["set-cookie"]).toBeUndefined();
  expect(wrong.body).not.toContain("<script>");
  const right = await logIn(tokens.reader);
  expect(right.status).toBe(303);
  const [set = ""] = right.headers["set-cookie"] ?? [];
  expect(set).toMatch(/; HttpOnly; SameSite=Strict$/);
  const cookie = set.split(";")[0] ?? "";
  expect((await ask(port, "/", { cookie })).body).toBe("the index.html");
  expect((await ask(port, "/api/actions?filter=ended&limit=5", { cookie })).status).toBe(200);
  const log = await ask(port, "/api/log?limit=5", { cookie });
  expect(log.status).toBe(403);
  expect(log.body).toContain("reader");
  expect(log.body).not.toContain("secret line");
  const admin = { authorization: `Bearer ${tokens.admin}` };
  expect((await ask(port, "/api/log?limit=5", admin)).body).toContain("secret line");
  const unknown = await ask(port, "/", { cookie: "builder-token=unknown-token-0123456789" });
  expect(unknown.status).toBe(401);
  expect(unknown.body).toContain("<form");
  for (const odd of ["builder-token=%E0%A4%A", "builder-token", "=;=;=", ";;;"]) {
    expect((await ask(port, "/", { cookie: odd })).status, odd).toBe(401);
  }
});

test("a page that another site's name leads to is refused", async () => {
  const { port } = await start();
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[evil]",
  ]) {
    const refused = await ask(port, "/live", { host });
    expect(refused.status, host).toBe(403);
    expect(refused.body).toContain("by the address of its machine");
  }
  for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:9003", "192.168.0.7"]) {
    expect((await ask(port, "/", { host })).status, host).toBe(200);
  }
});

test("a public address needs tokens, or that it is meant", () => {
  const dashboard = { host: "0.0.0.0", port: 9003 };
  expect(() => resolveServeConfig({ dashboard })).toThrow(/Add --token-file, or --insecure/);
  const callers = (anonymous: Role) => ({ tokenFile: "tokens", anonymous });
  expect(() => resolveServeConfig({ dashboard, callers: callers("reader") })).toThrow();
  expect(resolveServeConfig({ dashboard, callers: callers("none") }).dashboard).toEqual(dashboard);
  expect(resolveServeConfig({ dashboard, insecure: true }).dashboard).toEqual(dashboard);
});

test("odd paths, methods, URLs, headers and forms are answered or cut, and the node lives", async () => {
  const { port } = await start();
  for (const path of ["/nothing", "/../etc/passwd", "/page.js/..%2f..", "/%00", "/__proto__"]) {
    expect((await ask(port, path)).status, path).toBe(404);
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    expect((await ask(port, "/", {}, { method })).status, method).toBe(404);
  }
  for (const path of ["//", "http://", "//[", "*"]) {
    const heard = await raw(
      port,
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(heard, path).toMatch(/^HTTP\/1\.1 40[04] /);
  }
  const tooLarge = await raw(
    port,
    `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}\r\n\r\n`,
  );
  expect(tooLarge).toMatch(/^HTTP\/1\.1 431 /);
  expect(await raw(port, "\x16\x03\x01 this is not HTTP\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  const form = await ask(port, "/login", {}, { method: "POST", body: `token=${"x".repeat(5000)}` });
  expect(form.status).toBe(401);
  expect(form.body).toContain("That is no token.");
  const bad = await ask(port, "/api/invocation?id=nothing");
  expect(bad.status).toBe(404);
  expect((await ask(port, "/")).status).toBe(200);
});

test("an install without its page says what to do", async () => {
  const { port } = await start({ pageFolder: join(folder, "missing") });
  const refused = await ask(port, "/");
  expect(refused.status).toBe(503);
  expect(refused.body).toContain("npm run prepare");
});

test("a hundred pages that never read cost little; one more is told so; others see the figures", async () => {
  const { port } = await start({ hosts: 60 });
  const idle: Socket[] = [];
  for (let at = 0; at < dashboardBounds.readersMax; at += 1) {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    });
    socket.on("error", () => undefined);
    socket.pause();
    idle.push(socket);
  }
  try {
    await eventually(
      "the node is full",
      async () => {
        const refused = await Promise.race([ask(port, "/live"), until(2000)]);
        return refused?.status === 503 && refused.body.includes("Too many pages follow this node");
      },
      60_000,
    );
    const bytes = process.memoryUsage().rss;
    // Nothing piles up: what a page did not take up is not followed by more.
    await until(5000);
    expect(process.memoryUsage().rss - bytes).toBeLessThan(120 << 20);
    expect((await ask(port, "/api/actions?filter=ended&limit=1")).status).toBe(200);
    idle.pop()?.destroy();
    await eventually(
      "there is room again",
      async () => {
        const heard = await firstOf(port);
        return heard.includes("event: status");
      },
      60_000,
    );
  } finally {
    for (const socket of idle) socket.destroy();
  }
});

/** The beginning of the stream. */
function firstOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      { host: "127.0.0.1", port, path: "/live", agent: false },
      (response) => {
        let heard = "";
        response.on("data", (chunk: Buffer) => {
          heard += chunk.toString();
          if (heard.length > 10_000 || response.statusCode !== 200) call.destroy();
        });
        response.on("close", () => resolve(heard));
        response.on("error", () => resolve(heard));
      },
    );
    call.on("error", reject);
    call.end();
  });
}

const until = (ms: number) =>
  new Promise<undefined>((resolve) => setTimeout(resolve, ms, undefined));

test("over TLS the cookie never travels without", async () => {
  const authority = await createTestAuthority(folder, "authority");
  const issued = await authority.issue("localhost");
  const { port, url } = await start({ tokens: true, tls: issued });
  expect(url).toMatch(/^https:/);
  const cookie = await new Promise<string>((resolve, reject) => {
    const ca = readFileSync(authority.path);
    const options = { host: "127.0.0.1", port, path: "/login", method: "POST", ca, agent: false };
    const call = httpsRequest(options, (response) => {
      response.resume();
      resolve(response.headers["set-cookie"]?.[0] ?? "");
    });
    call.on("error", reject);
    call.end(`token=${tokens.admin}`);
  });
  expect(cookie).toMatch(/; Secure$/);
  await expect(ask(port, "/")).rejects.toThrow();
});
