import { beforeEach, expect, test } from "vitest";
import {
  compareActions,
  compareBounds,
  type ReadBlob,
  readActionMessages,
} from "../../../src/cas/compare-actions.ts";
import { MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { buildTree, type TreeEntry } from "../../../src/cas/merkle.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { encodeBytes } from "../../../src/wire/encode.ts";
import {
  Action,
  Command,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toDuration, toWireDigest } from "../../../src/wire/reapi.ts";

let store: MemoryBlobStore;
let reads: number;
const read: ReadBlob = (digest, bytesMax) => {
  reads += 1;
  return store.get(digest, bytesMax);
};
beforeEach(() => {
  store = new MemoryBlobStore();
  reads = 0;
});

interface Described {
  readonly files?: Readonly<Record<string, string>>;
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly platform?: Readonly<Record<string, string>>;
  readonly salt?: string;
  readonly timeoutMs?: number;
  readonly outputs?: readonly string[];
}

const pairs = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));

async function stored(of: Described): Promise<Digest> {
  const entries: TreeEntry[] = [];
  for (const [path, text] of Object.entries(of.files ?? {})) {
    const digest = await store.put(Buffer.from(text), "sha256");
    entries.push({ kind: "file", path, digest, executable: text.startsWith("#!") });
  }
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) await store.put(bytes, "sha256");
  const command = Command.fromPartial({
    arguments: [...(of.argv ?? ["cc"])],
    environmentVariables: pairs(of.env ?? {}),
    outputPaths: [...(of.outputs ?? ["o"])],
  });
  const commandDigest = await store.put(encodeBytes(Command, command), "sha256");
  const action = Action.fromPartial({
    commandDigest: toWireDigest(commandDigest),
    inputRootDigest: toWireDigest(tree.root),
    platform: { properties: pairs(of.platform ?? {}) },
    salt: Buffer.from(of.salt ?? ""),
    ...(of.timeoutMs === undefined ? {} : { timeout: toDuration(of.timeoutMs) }),
  });
  return store.put(encodeBytes(Action, action), "sha256");
}

async function differences(before: Described, now: Described): Promise<string[]> {
  const [a, b] = [await stored(before), await stored(now)];
  const messages = [await readActionMessages(read, a), await readActionMessages(read, b)] as const;
  const { found, partial } = await compareActions(read, ...messages);
  return [...found.map(({ kind, text }) => `${kind}: ${text}`), ...(partial ? ["partial"] : [])];
}

test("equal actions differ in nothing", async () => {
  const same = { files: { "a/b": "x" }, env: { A: "1" } };
  expect(await differences(same, same)).toEqual([]);
});

test("every part that may differ is named", async () => {
  const before = {
    ...{ files: { "src/a.c": "1", "src/b.c": "2", "old/x": "3", top: "t" }, salt: "gcc 12" },
    ...{ argv: ["cc", "-O1"], env: { FOO: "1", GONE: "x" }, platform: { ISA: "x86-64" } },
    ...{ timeoutMs: 1000, outputs: ["o"] },
  };
  const now = {
    ...{ files: { "src/a.c": "one", "src/c.c": "2", "new/x": "3", top: "#!" }, salt: "gcc 13" },
    ...{ argv: ["cc", "-O2"], env: { FOO: "2", NEW: "y" }, platform: { ISA: "aarch64", gpu: "1" } },
    ...{ timeoutMs: 2000, outputs: ["p"] },
  };
  expect(await differences(before, now)).toEqual([
    "command: its command changed: -O2 added, -O1 removed",
    "variable: FOO was 1 and is 2",
    "variable: its environment has NEW=y now",
    "variable: its environment has no GONE any more",
    "platform: its platform wants ISA=aarch64, before x86-64",
    "platform: its platform wants gpu=1 now",
    "toolchain: the tools it runs with changed (the action's salt)",
    "option: it declares other outputs",
    "option: its timeout was 1000 ms and is 2000 ms",
    "file: top changed",
    "file: new/ is a new folder",
    "file: src/a.c changed",
    "file: src/c.c is a new input",
    "file: src/b.c is no input any more",
    "file: old/ is no input any more",
  ]);
});

test("folders that are the same are not read, however many there are", async () => {
  const files: Record<string, string> = {};
  for (let at = 0; at < 200; at += 1) files[`folder-${at}/file`] = `${at}`;
  expect(await differences(files, files)).toEqual([]);
  const before = { files };
  const now = { files: { ...files, "folder-7/file": "other" } };
  reads = 0;
  expect(await differences(before, now)).toEqual(["file: folder-7/file changed"]);
  expect(reads).toBeLessThan(10);
});

test("more differences than anybody reads are cut, and folders that are gone are no error", async () => {
  const many: Record<string, string> = {};
  for (let at = 0; at < 300; at += 1) many[`f${at}`] = "x";
  const told = await differences({ files: {} }, { files: many });
  expect(told).toHaveLength(compareBounds.foundMax + 1);
  expect(told.at(-1)).toBe("partial");
  const [a, b] = [await stored({ files: { x: "1" } }), await stored({ files: { x: "2" } })];
  const [before, now] = [await readActionMessages(read, a), await readActionMessages(read, b)];
  store.delete(before.inputRoot);
  expect(await compareActions(read, before, now)).toEqual({
    found: [{ kind: "file", text: "its input root changed (its folder is not stored any more)" }],
    partial: true,
  });
  store.delete(a);
  await expect(readActionMessages(read, a)).rejects.toThrow(/The Action .* is not stored/);
});

test("long values are cut, and a name that stands twice keeps both values", async () => {
  const [told] = await differences({ env: { A: "x" } }, { env: { A: "y".repeat(500) } });
  expect(told).toBe(`variable: A was x and is ${"y".repeat(compareBounds.valueChars)}…`);
});
