// TLS, client certificates, tokens and rights, over real sockets with certificates made here.

import { chmodSync, copyFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { type ChannelCredentials, Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readEndpoint } from "../../src/build/endpoint.ts";
import { connect } from "../../src/build/reapi-client.ts";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import { createAccess } from "../../src/ingress/callers.ts";
import { type Ingress, type IngressOptions, startIngress } from "../../src/ingress/server.ts";
import type { Log } from "../../src/telemetry/logger.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { NodeStatusDefinition, Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { OperationsDefinition } from "../../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition, type MethodDefinition } from "../../src/wire/grpc-definition.ts";
import { createTestAuthority, type TestAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { all, callsOf } from "../support/grpc-calls.ts";

const capabilities = grpcDefinition(reapi.CapabilitiesDefinition);
const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
const cache = grpcDefinition(reapi.ActionCacheDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const operations = grpcDefinition(OperationsDefinition);
const node = grpcDefinition(NodeStatusDefinition);

let folder: string;
let authority: TestAuthority;
const open: { close(): void }[] = [];
const tokens = {
  reader: "reader-token-0123456789",
  client: "client-token-0123456789",
  writer: "writer-token-0123456789",
  admin: "admin-token-0123456789",
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "access-"));
  authority = await createTestAuthority(folder, "authority");
});
afterAll(() => {
  for (const each of open) each.close();
  rmSync(folder, { recursive: true });
});

function tokenFile(
  text = Object.entries(tokens)
    .map(([role, t]) => `${t} ${role}\n`)
    .join(""),
) {
  const path = join(folder, `tokens-${open.length}-${Math.random()}`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function start(
  options: Partial<IngressOptions>,
  log: Log = () => undefined,
): Promise<Ingress> {
  const store = new MemoryBlobStore();
  const ingress = await startIngress(
    {
      store,
      actionCache: new CompletenessCheckingActionCache({
        base: new MemoryActionCache({ now: Date.now }),
        store,
      }),
      scheduler: { submit: () => undefined, abandon: () => undefined },
      status: () => Status.fromPartial({ version: "t" }),
      log,
      now: Date.now,
    },
    { addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }], node: "n", ...options },
  );
  open.push(ingress);
  return ingress;
}

function clientOf(ingress: Ingress, how: ChannelCredentials = credentials.createInsecure()) {
  const client = new Client(`localhost:${ingress.ports[0]}`, how, {
    "grpc.use_local_subchannel_pool": 1,
  });
  open.push(client);
  return callsOf(client);
}

function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set("authorization", `bearer ${token}`);
  return metadata;
}

const digest = { hash: "1".repeat(64), sizeBytes: 1 };
type Try = (calls: ReturnType<typeof callsOf>, metadata: Metadata) => Promise<unknown>;
const one =
  <Q, S>(method: MethodDefinition<Q, S>, request: Q): Try =>
  (calls, metadata) =>
    calls.call(method, request, metadata);
const many =
  <Q, S>(method: MethodDefinition<Q, S>, request: Q): Try =>
  (calls, metadata) =>
    all(calls.stream(method, request, metadata));

const callByRight: Readonly<Record<string, Try>> = {
  read: one(cas.findMissingBlobs, reapi.FindMissingBlobsRequest.fromPartial({})),
  "read status": one(node.getStatus, {}),
  "write-cas": one(cas.batchUpdateBlobs, reapi.BatchUpdateBlobsRequest.fromPartial({})),
  "write-ac": one(
    cache.updateActionResult,
    reapi.UpdateActionResultRequest.fromPartial({ actionDigest: digest, actionResult: {} }),
  ),
  execute: many(execution.execute, reapi.ExecuteRequest.fromPartial({ actionDigest: digest })),
  admin: one(operations.deleteOperation, { name: "x" }),
};
const allowed: Readonly<Record<string, readonly string[]>> = {
  reader: ["read", "read status"],
  client: ["read", "read status", "write-cas", "execute"],
  writer: ["read", "read status", "write-cas", "execute", "write-ac"],
  admin: Object.keys(callByRight),
};

describe("tokens", () => {
  let ingress: Ingress;
  beforeAll(async () => {
    ingress = await start({ callers: { tokenFile: tokenFile(), anonymous: "none" } });
  });

  test.each(Object.entries(tokens))(
    "a %s may do what its role says, and no more",
    async (role, token) => {
      const calls = clientOf(ingress);
      for (const [right, attempt] of Object.entries(callByRight)) {
        const code = await attempt(calls, bearer(token)).then(
          () => status.OK,
          (error: { code: number }) => error.code,
        );
        const denied = code === status.PERMISSION_DENIED;
        expect([right, denied]).toEqual([right, !allowed[role]!.includes(right)]);
      }
    },
  );

  test("without one, or with an unknown one, hardly anything is answered", async () => {
    const calls = clientOf(ingress);
    const request = { instanceName: "" };
    const unauthenticated = { code: status.UNAUTHENTICATED };
    for (const [right, attempt] of Object.entries(callByRight)) {
      await expect(attempt(calls, new Metadata()), right).rejects.toMatchObject(unauthenticated);
    }
    await expect(calls.call(capabilities.getCapabilities, request)).rejects.toMatchObject(
      unauthenticated,
    );
    await expect(
      calls.call(capabilities.getCapabilities, request, bearer("no-such-token-0000000")),
    ).rejects.toMatchObject({ ...unauthenticated, details: expect.stringContaining("not known") });
    const health = { ...capabilities.getCapabilities, path: "/grpc.health.v1.Health/Check" };
    await calls.call({ ...health, requestSerialize: () => Buffer.alloc(0) }, request);
  });

  test("capabilities say what the caller may do", async () => {
    const calls = clientOf(ingress);
    const seen = async (token: string) => {
      const found = await calls.call(
        capabilities.getCapabilities,
        { instanceName: "" },
        bearer(token),
      );
      const { cacheCapabilities, executionCapabilities } = found;
      return [
        cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled,
        executionCapabilities?.execEnabled,
      ];
    };
    expect(await seen(tokens.reader)).toEqual([false, false]);
    expect(await seen(tokens.client)).toEqual([false, true]);
    expect(await seen(tokens.writer)).toEqual([true, true]);
  });

  test("a role cannot be claimed in a header", async () => {
    const metadata = bearer(tokens.reader);
    metadata.set("builder-caller-role", "admin");
    const calls = clientOf(ingress);
    const found = await calls.call(capabilities.getCapabilities, { instanceName: "" }, metadata);
    expect(found.executionCapabilities?.execEnabled).toBe(false);
  });

  test("a changed file counts, a broken one does not and is complained about", () => {
    const path = tokenFile("first-token-0123456789 reader\n");
    let now = 0;
    const said: string[] = [];
    const log: Log = (level, message) => said.push(`${level} ${message}`);
    const access = createAccess({ now: () => now, log }, { tokenFile: path, anonymous: "none" });
    const roleOf = (token: string) =>
      access.identify({ authorization: `Bearer ${token}`, subject: undefined }).role;
    expect(roleOf("first-token-0123456789")).toBe("reader");
    writeFileSync(path, "second-token-0123456789 client laptop of eve\n");
    utimesSync(path, 1, 1);
    now += 5000;
    expect(roleOf("second-token-0123456789")).toBe("client");
    expect(() => roleOf("first-token-0123456789")).toThrow(/not known/);
    writeFileSync(path, "secret-of-somebody king\n");
    utimesSync(path, 1, 1);
    now += 5000;
    expect(roleOf("second-token-0123456789")).toBe("client");
    expect(said).toEqual([
      "info The tokens have changed and were read again.",
      expect.stringMatching(/^warn The tokens .* earlier ones stay in force: .*:1: a line wants/),
    ]);
    expect(said.join()).not.toContain("secret");
  });

  test.each([
    ["short reader\n", /:1: the token has under 16/],
    ["# fine\nlong-enough-token-0123 king\n", /:2: a line wants TOKEN ROLE/],
    ["long-enough-token-0123 reader\nlong-enough-token-0123 admin\n", /:2: .* an earlier line/],
    ["törkëñ-löng-énough-0123 reader\n", /:1: the token has characters/],
  ])("the file %j is refused with its line", async (text, reason) => {
    const callers = { tokenFile: tokenFile(text), anonymous: "none" as const };
    await expect(start({ callers })).rejects.toThrow(reason);
  });

  test("a file that others can read is refused", async () => {
    const path = tokenFile();
    chmodSync(path, 0o644);
    const callers = { tokenFile: path, anonymous: "none" as const };
    await expect(start({ callers })).rejects.toThrow(/chmod 600/);
    const none = { tokenFile: join(folder, "none"), anonymous: "none" as const };
    await expect(start({ callers: none })).rejects.toThrow(/The token file cannot be read/);
  });

  test("who was refused what is logged, the token never", async () => {
    const said: string[] = [];
    const log: Log = (level, message) => said.push(`${level} ${message}`);
    const callers = { tokenFile: tokenFile(), anonymous: "none" as const };
    const calls = clientOf(await start({ callers }, log));
    for (const token of [tokens.reader, "unknown-token-0123456789"]) {
      await expect(callByRight["admin"]!(calls, bearer(token))).rejects.toThrow();
    }
    expect(said).toEqual([
      expect.stringMatching(/^debug .*"token of line 1" \(reader\) may not call .*"admin"/),
      expect.stringMatching(/^debug .* not known here/),
    ]);
    expect(said.join()).not.toMatch(/token-0123/);
  });

  test("where none are given out, one that is shown all the same does no harm", async () => {
    const calls = clientOf(await start({}));
    await calls.call(node.getStatus, {}, bearer("of-another-node-0123456789"));
  });
});

describe("TLS", () => {
  test("a client that knows the authority gets through; plain text and strangers do not", async () => {
    const own = await authority.issue("localhost");
    const ingress = await start({ tls: { cert: own.cert, key: own.key, clientCa: undefined } });
    const at = `localhost:${ingress.ports[0]}`;
    const ask = async (node: string, flags = {}) => {
      const client = connect(readEndpoint(node, flags, undefined));
      open.push(client);
      return client.call(capabilities.getCapabilities, { instanceName: "" }, {});
    };
    expect(await ask(`grpcs://${at}`, { tlsCa: authority.path })).toBeDefined();
    await expect(ask(`grpcs://${at}`)).rejects.toThrow(/authority that is not trusted/);
    await expect(ask(`grpc://${at}`)).rejects.toThrow(/grpcs:\/\//);
    const plain = await start({});
    const wrong = `grpcs://localhost:${plain.ports[0]}`;
    await expect(ask(wrong, { tlsCa: authority.path })).rejects.toThrow(/does not speak TLS/);
  });

  test("a certificate must be for the name or the address by which the node is called", async () => {
    const other = await authority.issue("elsewhere", undefined, undefined, "127.0.0.1");
    const ingress = await start({ tls: { ...other, clientCa: undefined } });
    const elsewhere = await authority.issue("localhost", undefined, undefined, "10.9.8.7");
    const far = await start({ tls: { ...elsewhere, clientCa: undefined } });
    const ask = (host: string, { ports }: Ingress) => {
      const at = `grpcs://${host}:${ports[0]}`;
      const client = connect(readEndpoint(at, { tlsCa: authority.path }, undefined));
      open.push(client);
      return client.call(capabilities.getCapabilities, { instanceName: "" }, {});
    };
    expect(await ask("127.0.0.1", ingress)).toBeDefined();
    await expect(ask("localhost", ingress)).rejects.toThrow(/certificate for another host/);
    expect(await ask("localhost", far)).toBeDefined();
    await expect(ask("127.0.0.1", far)).rejects.toThrow(/certificate for another host/);
  });

  test("renewed files count for new connections; those that do not fit change nothing", async () => {
    const said: string[] = [];
    const log: Log = (level, message) => said.push(`${level} ${message}`);
    const files = { cert: join(folder, "live.pem"), key: join(folder, "live-key.pem") };
    const put = (from: { cert: string; key: string }) => {
      copyFileSync(from.key, files.key);
      copyFileSync(from.cert, files.cert);
    };
    put(await authority.issue("localhost"));
    const ingress = await start({ tls: { ...files, clientCa: undefined } }, log);
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const to = { host: "127.0.0.1", port: ingress.ports[0]!, rejectUnauthorized: false };
        const socket = tls.connect({ ...to, ALPNProtocols: ["h2"] }, () => {
          resolve(socket.getPeerCertificate().subject.CN as string);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    expect(await shown()).toBe("localhost");
    put(await authority.issue("renewed"));
    await eventually("the new certificate", async () => (await shown()) === "renewed");
    copyFileSync((await authority.issue("third")).cert, files.cert);
    await eventually("a warning", () => said.some((line) => /^warn .*does not belong/.test(line)));
    expect(await shown()).toBe("renewed");
  });

  test("a client certificate is asked for, and names its owner's role", async () => {
    const own = await authority.issue("localhost");
    const clientCa = authority.path;
    const ingress = await start({
      tls: { cert: own.cert, key: own.key, clientCa },
      callers: { tokenFile: undefined, anonymous: "none" },
    });
    const stranger = await (await createTestAuthority(folder, "stranger")).issue("eve");
    const access = async (flags: object) => {
      const endpoint = readEndpoint(
        `grpcs://localhost:${ingress.ports[0]}`,
        { tlsCa: authority.path, ...flags },
        undefined,
      );
      const client = connect(endpoint);
      open.push(client);
      const found = await client.call(capabilities.getCapabilities, { instanceName: "" }, {});
      return [
        found.executionCapabilities?.execEnabled,
        found.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled,
      ];
    };
    const plain = await authority.issue("laptop");
    const admin = await authority.issue("boss", "admin");
    expect(await access({ tlsCert: plain.cert, tlsKey: plain.key })).toEqual([true, false]);
    expect(await access({ tlsCert: admin.cert, tlsKey: admin.key })).toEqual([true, true]);
    await expect(access({})).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const eve = access({ tlsCert: stranger.cert, tlsKey: stranger.key });
    await expect(eve).rejects.toThrow(/certificate/);
    await expect(eve).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("files that do not fit are refused at the start, by name", async () => {
    const own = await authority.issue("localhost");
    const other = await authority.issue("other");
    const begin = (change: object) => start({ tls: { ...own, clientCa: undefined, ...change } });
    await expect(begin({ key: other.key })).rejects.toThrow(/does not belong/);
    await expect(begin({ cert: own.key })).rejects.toThrow(/no PEM certificate/);
    await expect(begin({ key: own.cert })).rejects.toThrow(/no PEM private key/);
    await expect(begin({ cert: "/no/such.pem" })).rejects.toThrow(/--tls-cert cannot be read/);
    const old = await authority.issue("localhost", undefined, -86_400_000);
    await expect(begin({ ...old })).rejects.toThrow(/was valid until/);
  });
});
