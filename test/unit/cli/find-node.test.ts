import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { findNode, listens, type NodeSources, rememberNode } from "../../../cli/find-node.ts";
import { processMark } from "../../../src/node/living-process.ts";
import {
  entryOf,
  listNodes,
  localAddress,
  removeNodeFile,
  writeNodeFile,
} from "../../../src/node/node-file.ts";

let store: string;
const entry = entryOf("127.0.0.1:4001", false, 1);
beforeAll(() => {
  store = mkdtempSync(join(tmpdir(), "builder-find-"));
});
afterAll(() => rmSync(store, { recursive: true, force: true }));

/** Everything knows a node, and all of them answer but those in `silent`. */
function sources(changes: Partial<NodeSources>, silent: readonly string[] = []) {
  const asked: string[] = [];
  const all: NodeSources = {
    wanted: undefined,
    space: undefined,
    store,
    lastFile: join(store, "last-node"),
    findOnLan: async () => ["10.0.0.2:9000", "10.0.0.3:9000"],
    answers: async (address) => {
      asked.push(address);
      return !silent.includes(address);
    },
    ...changes,
  };
  return { all, asked };
}

beforeEach(() => {
  writeNodeFile(store, entry);
  rememberNode(join(store, "last-node"), "grpcs://far.example:443,10.9.9.9:9000");
});

test("who names a node is taken at his word", async () => {
  const { all, asked } = sources({ wanted: "a:1", space: "b:2" });
  expect(await findNode(all)).toBe("a:1");
  expect(await findNode({ ...all, wanted: "" })).toBe("b:2");
  expect(asked).toEqual([]);
});

test("then: this machine's node, the usual address, the local network, the last one used", async () => {
  const order = ["127.0.0.1:4001", "127.0.0.1:9000", "10.0.0.2:9000", "10.0.0.3:9000"];
  for (const [at, node] of order.entries()) {
    const { all, asked } = sources({}, order.slice(0, at));
    expect(await findNode(all)).toBe(node);
    expect(asked).toEqual(order.slice(0, at + 1));
  }
  const last = sources({}, [...order, "far.example:443"]);
  expect(await findNode(last.all)).toBe("grpcs://far.example:443,10.9.9.9:9000");
});

test("where none is found, what was tried is told with the remedy", async () => {
  const none = sources({ findOnLan: async () => [], answers: async () => false });
  await expect(findNode(none.all)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message:
      "No builder node was found (BUILDER_REMOTE is not set; the Builderspace names none; " +
      `in ${join(store, "mesh/nodes")}: 127.0.0.1:4001 does not answer; ` +
      "at the usual address: 127.0.0.1:9000 does not answer; on the local network: none; " +
      "used last: grpcs://far.example:443,10.9.9.9:9000 does not answer). " +
      "Start one with: builder serve --remote, or name one: --remote=HOST:PORT",
  });
});

test("a node removes its own entry and no other's; damaged entries are none", () => {
  removeNodeFile(store, { ...entry, address: "127.0.0.1:4002" });
  expect(listNodes(store)).toEqual([entry]);
  removeNodeFile(store, entry);
  expect(listNodes(store)).toEqual([]);
  for (const damaged of [
    "",
    "{",
    "null",
    "[]",
    '{"address":1,"everywhere":true,"process":"2 3","sinceMs":4}',
  ]) {
    writeFileSync(join(store, `mesh/nodes/${process.pid}.json`), damaged);
    expect(listNodes(store)).toEqual([]);
  }
});

test("of several nodes the last to start is found, one that was killed after all others", () => {
  const gone = { ...entry, address: "127.0.0.1:4003", process: "999999999 1", sinceMs: 9 };
  const parent = { ...entry, address: "127.0.0.1:4004", process: processMark(process.ppid) };
  writeNodeFile(store, gone);
  expect(listNodes(store)).toEqual([entry, gone]);
  writeNodeFile(store, { ...parent, sinceMs: 5 });
  expect(listNodes(store)).toEqual([{ ...parent, sinceMs: 5 }, entry]);
  removeNodeFile(store, { ...parent, sinceMs: 5 });
  expect(listNodes(store)).toEqual([entry]);
});

test("an entry says how this machine reaches the node", () => {
  expect(localAddress("0.0.0.0:9000", false)).toBe("127.0.0.1:9000");
  expect(localAddress("[::]:9000", true)).toBe("grpcs://[::1]:9000");
  expect(localAddress("10.0.0.7:9000", false)).toBe("10.0.0.7:9000");
});

test("a folder that cannot be written is no error", () => {
  rememberNode(join(store, "last-node", "below-a-file"), "a:1");
  expect(readFileSync(join(store, "last-node"), "utf8")).toMatch(/far.example/);
});

test("a port answers while somebody listens", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  expect(await listens(`127.0.0.1:${port}`)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(await listens(`127.0.0.1:${port}`)).toBe(false);
  expect(await listens("nonsense")).toBe(false);
  expect(await listens("127.0.0.1:99999")).toBe(false);
});
