import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readEndpoint, readEndpoints } from "../../../src/build/endpoint.ts";
import {
  createTestAuthority,
  type Issued,
  type TestAuthority,
} from "../../support/certificates.ts";

let folder: string;
let authority: TestAuthority;
let own: Issued;
let other: Issued;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "endpoint-"));
  authority = await createTestAuthority(folder, "authority");
  own = await authority.issue("laptop");
  other = await authority.issue("other");
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, `file-${Math.random()}`);
  writeFileSync(path, text);
  return path;
}

describe("a token", () => {
  const at = "grpcs://10.0.0.1:9000";

  test("never travels in plain text to another machine", () => {
    const advice = /grpcs:\/\/10\.0\.0\.1/;
    expect(() => readEndpoint("10.0.0.1:9000", {}, "secret")).toThrow(advice);
    expect(() => readEndpoint("127.0.0.1.evil.example:9000", {}, "secret")).toThrow(/plain text/);
    for (const near of ["localhost:1", "127.0.0.1:1", "[::1]:1"]) {
      expect(readEndpoint(near, {}, "secret").token).toBe("secret");
    }
    expect(readEndpoint(at, {}, "secret\n").token).toBe("secret");
  });

  test("is the first word of a file's first line that is no comment", () => {
    const tokenFile = file("# of ann\n\nann-token client laptop\nbob-token client\n");
    expect(readEndpoint(at, { tokenFile }, "of-the-environment").token).toBe("ann-token");
    expect(() => readEndpoint(at, { tokenFile: file("\n") }, "x")).toThrow(/holds no token/);
    expect(readEndpoint(at, {}, " \n").token).toBeUndefined();
  });

  test("that no header carries is refused and not repeated", () => {
    expect(() => readEndpoint(at, {}, "sécret")).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("sécret") }),
    );
    expect(() => readEndpoint(at, {}, "sécret")).toThrow(/BUILDER_TOKEN has characters/);
  });
});

describe("certificates", () => {
  const at = "grpcs://localhost:9000";

  test("mean TLS, and contradict grpc://", () => {
    expect(readEndpoint("localhost:9000", { tlsCa: authority.path }, undefined).tls).toBeDefined();
    expect(readEndpoint("localhost:9000", {}, undefined).tls).toBeUndefined();
    expect(() =>
      readEndpoint("grpc://localhost:9000", { tlsCa: authority.path }, undefined),
    ).toThrow(/plain text.*grpcs:\/\/localhost:9000/);
  });

  test.each<[string, () => object, RegExp]>([
    ["without its key", () => ({ tlsCert: own.cert }), /--tls-cert and --tls-key/],
    ["with another's key", () => ({ tlsCert: own.cert, tlsKey: other.key }), /key values mismatch/],
    ["that is none", () => ({ tlsCert: file("junk"), tlsKey: own.key }), /cannot be used/],
    ["of an authority that is none", () => ({ tlsCa: file("junk") }), /--tls-ca .* no PEM/],
    ["that is missing", () => ({ tlsCa: "/no/such.pem" }), /\/no\/such\.pem cannot be read/],
  ])("one %s is refused in words", (_, flags, reason) => {
    expect(() => readEndpoint(at, flags(), undefined)).toThrow(reason);
    expect(() => readEndpoint(at, flags(), undefined)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});

test("an address that is none is refused", () => {
  expect(() => readEndpoint("http://10.0.0.1:9000", {}, undefined)).toThrow(/HOST:PORT/);
  expect(() => readEndpoint("grpcs://10.0.0.1", {}, undefined)).toThrow(/HOST:PORT/);
});

describe("several nodes", () => {
  test("are separated by commas, and TLS of the first holds for those that do not say", () => {
    const addresses = (nodes: string) =>
      readEndpoints(nodes, {}, undefined).map(({ address, tls }) => [address, tls !== undefined]);
    expect(addresses("a:1,b:2,a:1")).toEqual([
      ["a:1", false],
      ["b:2", false],
    ]);
    expect(addresses("grpcs://a:1,[::1]:2,grpc://c:3")).toEqual([
      ["a:1", true],
      ["[::1]:2", true],
      ["c:3", false],
    ]);
  });

  test("are refused by name, one by one, and by their number", () => {
    expect(() => readEndpoints("a:1,,b:2", {}, undefined)).toThrow(/is no node/);
    expect(() => readEndpoints("a:1,b", {}, undefined)).toThrow(/^b is no node/);
    const many = Array.from({ length: 17 }, (_, i) => `n${i}:1`).join(",");
    expect(() => readEndpoints(many, {}, undefined)).toThrow(/17 nodes; name 16 at most/);
    expect(() => readEndpoints("10.0.0.1:1", {}, "secret")).toThrow(/plain text/);
  });
});
