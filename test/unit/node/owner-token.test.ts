import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Endpoint, readEndpoint } from "../../../src/build/endpoint.ts";
import { entryOf, writeNodeFile } from "../../../src/node/node-file.ts";
import { asOwner, keepOwnerToken } from "../../../src/node/owner-token.ts";

let store: string;
let mesh: string;
let said: string[];
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), "builder-owner-"));
  mesh = join(store, "mesh");
  mkdirSync(mesh);
  said = [];
});
afterEach(() => rmSync(store, { recursive: true, force: true }));

const keep = () => keepOwnerToken(mesh, (level, text) => said.push(`${level} ${text}`));
const tokenOf = (path: string) => readFileSync(path, "utf8").split(" ")[0] ?? "";

test("a token is made once, for the owner's eyes, and found again", () => {
  const path = keep();
  expect(readFileSync(path, "utf8")).toMatch(/^[\w-]{43} admin owner\n$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const first = tokenOf(path);
  expect(keep()).toBe(path);
  expect(tokenOf(path)).toBe(first);
  expect([readdirSync(mesh), said]).toEqual([["owner.token"], []]);
});

test("one that is damaged or was open to others is made anew, which is said without it", () => {
  const path = keep();
  const first = tokenOf(path);
  chmodSync(path, 0o644);
  const second = tokenOf(keep());
  expect(second).not.toBe(first);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  for (const damaged of ["", "short admin owner\n", `${second} reader owner\n`, `${second}`]) {
    writeFileSync(path, damaged);
    expect(tokenOf(keep())).not.toBe(second);
    expect(readFileSync(path, "utf8")).toMatch(/^[\w-]{43} admin owner\n$/);
  }
  expect(said).toHaveLength(5);
  expect(said[0]).toMatch(/^warn .*could be read by others and was made anew: .*owner\.token$/);
  expect(said[1]).toMatch(/^warn .*was damaged/);
  expect(readdirSync(mesh)).toEqual(["owner.token"]);
});

/** As `builder` reads it. */
const named = (node: string, token?: string): Endpoint => readEndpoint(node, {}, token);
const shown = (node: string, token?: string) => asOwner(store, named(node, token));
const listen = (address: string, isTls = false) => writeNodeFile(store, entryOf(address, isTls, 1));

test("the owner's token goes to the node of the store under each of its names, and there alone", () => {
  const token = tokenOf(keep());
  expect(shown("127.0.0.1:9000").token).toBeUndefined();
  listen("0.0.0.0:9000");
  for (const node of [
    "127.0.0.1:9000",
    "localhost:9000",
    "0.0.0.0:9000",
    "grpc://127.0.0.1:9000",
  ]) {
    // By a name, another program could answer first.
    expect(shown(node), node).toMatchObject({ address: "127.0.0.1:9000", token });
  }
  for (const node of [
    ...["127.0.0.1:9001", "[::1]:9000", "192.0.2.7:9000", "desk:9000"],
    "grpcs://127.0.0.1:9000",
  ]) {
    expect(shown(node), node).toEqual(named(node));
  }
  expect(shown("127.0.0.1:9000", "another-token-0123456789").token).toBe(
    "another-token-0123456789",
  );
});

test("an address of this machine will do, one that is another's now will not, but with TLS", () => {
  const token = tokenOf(keep());
  const own = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  if (own !== undefined) {
    listen(`${own}:9000`);
    expect(shown(`${own}:9000`)).toMatchObject({ address: `${own}:9000`, token });
    listen("127.0.0.1:9000");
    expect(shown(`${own}:9000`).token).toBeUndefined();
    listen("0.0.0.0:9000");
    expect(shown(`${own}:9000`)).toMatchObject({ address: "127.0.0.1:9000", token });
  }
  listen("192.0.2.7:9000");
  expect(shown("192.0.2.7:9000").token).toBeUndefined();
  listen("192.0.2.7:9000", true);
  expect(shown("192.0.2.7:9000").token).toBeUndefined();
  expect(shown("grpcs://192.0.2.7:9000").token).toBe(token);
  listen("0.0.0.0:9000", true);
  // The certificate is for that name.
  expect(shown("grpcs://localhost:9000")).toMatchObject({ address: "localhost:9000", token });
});

test("no token is sent where the node was killed: anybody may have its port now", () => {
  keep();
  listen("127.0.0.1:9000");
  const file = join(mesh, "nodes", `${process.pid}.json`);
  const entry: object = JSON.parse(readFileSync(file, "utf8"));
  for (const gone of ["999999999 1", `${process.pid} 1`, "", "nonsense"]) {
    writeFileSync(file, JSON.stringify({ ...entry, process: gone }));
    expect(shown("127.0.0.1:9000").token, gone).toBeUndefined();
  }
});

test("who finds no token sends none", () => {
  listen("127.0.0.1:9000");
  expect(shown("127.0.0.1:9000").token).toBeUndefined();
  writeFileSync(join(mesh, "owner.token"), "damaged");
  expect(shown("127.0.0.1:9000").token).toBeUndefined();
});
