import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { openHostTools } from "../../../src/node/host-toolchain.ts";
import { buildIdOf, kits, readSystemToolchain } from "../../../src/rules/system-toolchain.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** An ELF file with a build id and, behind it, bytes that only its size tells of. */
function elf(id: string, rest = ""): Buffer {
  const note = Buffer.concat([
    Buffer.from([4, 0, 0, 0, id.length / 2, 0, 0, 0, 3, 0, 0, 0]),
    ...[Buffer.from("GNU\0"), Buffer.from(id, "hex")],
  ]);
  const head = Buffer.alloc(64 + 56);
  head.write("\x7fELF", "latin1");
  head.set([2, 1], 4);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(4, 64);
  head.writeBigUInt64LE(BigInt(head.length), 64 + 8);
  head.writeBigUInt64LE(BigInt(note.length), 64 + 32);
  return Buffer.concat([head, note, Buffer.from(rest)]);
}

const compiler = "usr/bin/x86_64-linux-gnu-gcc-12";

/** A machine's files; those with `->` are links. */
function machine(changes: Readonly<Record<string, string | Buffer>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), "toolchain-"));
  roots.push(root);
  const files: Record<string, string | Buffer> = {
    "usr/bin/sh": "shell",
    "usr/bin/cc": "-> x86_64-linux-gnu-gcc-12",
    [compiler]: elf("aabbccdd"),
    "usr/lib/gcc/x86_64-linux-gnu/12/cc1": elf("11223344"),
    "usr/lib/x86_64-linux-gnu/libc.so.6": elf("00000001"),
    "usr/bin/python3": "-> python3.11",
    "usr/bin/python3.11": "python",
    ...changes,
  };
  for (const [path, content] of Object.entries(files)) {
    const at = join(root, path);
    mkdirSync(dirname(at), { recursive: true });
    if (typeof content === "string" && content.startsWith("-> ")) symlinkSync(content.slice(3), at);
    else writeFileSync(at, content);
  }
  return root;
}

/** The names of all kits there, with the machine's own folder taken out of what is hashed. */
function namesOf(root: string): Record<string, string | undefined> {
  const toolchain = readSystemToolchain((path) => readFileSync(path, "latin1"), root);
  return Object.fromEntries(kits.map((kit) => [kit, toolchain.nameOf(kit)]));
}

test("equal tools have one name, whatever else differs between two machines", () => {
  const [one, two] = [namesOf(machine()), namesOf(machine({ "usr/bin/vim": "editor" }))];
  expect(two).toEqual(one);
  expect(one["cpp"]).toMatch(/^cpp-gcc-12-[0-9a-f]{16}$/);
  expect(one["python"]).toMatch(/^python-python3\.11-[0-9a-f]{16}$/);
  expect(one["system"]).toMatch(/^system-[0-9a-f]{16}$/);
  expect([one["go"], one["java"], one["rust"]]).toEqual([undefined, undefined, undefined]);
});

test.each([
  ["another compiler", { [compiler]: elf("aabbccde") }],
  ["the same build id in a file of another size", { [compiler]: elf("aabbccdd", "patched") }],
  ["another part of the compiler", { "usr/lib/gcc/x86_64-linux-gnu/12/cc1": elf("55") }],
  ["another C library", { "usr/lib/x86_64-linux-gnu/libc.so.6": elf("00000002") }],
  ["a compiler that comes first on the path", { "usr/local/bin/cc": "wrapper" }],
  ["another program of the set", { "usr/bin/ar": "archiver" }],
  ["a second version of the compiler", { "usr/lib/gcc/x86_64-linux-gnu/13/cc1": elf("66") }],
])(
  "%s is another toolchain for C and for all, and for Python unless it is the C library",
  (what, changes) => {
    const [before, after] = [namesOf(machine()), namesOf(machine(changes))];
    expect(after["cpp"]).not.toBe(before["cpp"]);
    expect(after["system"]).not.toBe(before["system"]);
    expect(after["python"] === before["python"]).toBe(what !== "another C library");
  },
);

test("another script interpreter leaves C alone", () => {
  const [before, after] = [namesOf(machine()), namesOf(machine({ "usr/bin/python3.11": "new" }))];
  expect(after["cpp"]).toBe(before["cpp"]);
  expect(after["python"]).not.toBe(before["python"]);
  expect(after["system"]).not.toBe(before["system"]);
});

test("a machine without any tool has no toolchain", () => {
  const root = mkdtempSync(join(tmpdir(), "toolchain-"));
  roots.push(root);
  expect(Object.values(namesOf(root))).toEqual(kits.map(() => undefined));
  expect(openHostTools({ now: () => 0 }, root).current()).toMatchObject({ names: [], whole: "" });
});

test("a program that cannot be read, links in circles and folders in the way hurt nobody", () => {
  const root = machine({ "usr/bin/ld": "-> ld", "usr/bin/as/x": "a folder", "usr/bin/c++": "" });
  chmodSync(join(root, compiler), 0o000);
  expect(namesOf(root)["cpp"]).toMatch(/^cpp-gcc-12-/);
});

test("a host looks again when a tool changed, for what is asked often within a second", () => {
  const root = machine();
  let nowMs = 0;
  const tools = openHostTools({ now: () => nowMs }, root);
  const first = tools.current();
  expect(tools.current()).toBe(first);
  appendFileSync(join(root, compiler), "patched");
  nowMs += 999;
  expect(tools.recent()).toBe(first);
  nowMs += 1;
  const second = tools.recent();
  expect(second.whole).not.toBe(first.whole);
  expect(second.names).toContain(second.whole);
  writeFileSync(join(root, "usr/bin/go"), "new");
  expect(tools.current().names.some((name) => name.startsWith("go-go-"))).toBe(true);
});

test("build ids are read as linkers write them, and no bytes do harm", () => {
  expect(buildIdOf(elf("0123456789abcdef"))).toBe("0123456789abcdef");
  expect(buildIdOf(elf("01").subarray(0, 130))).toBeUndefined();
  expect(buildIdOf(Buffer.from("#!/bin/sh\n".padEnd(100)))).toBeUndefined();
  const patches = fc.array(fc.tuple(fc.nat(139), fc.nat(255)), { maxLength: 20 });
  fc.assert(
    fc.property(patches, (changes) => {
      const bytes = elf("0123456789abcdef");
      for (const [at, value] of changes) bytes[at] = value;
      const found = buildIdOf(bytes);
      expect(found === undefined || found.length <= 2 * bytes.length).toBe(true);
    }),
  );
});
