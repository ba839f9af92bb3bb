// Which compilers, interpreters and C libraries this machine has: one short name for each kind of
// action, equal on two machines exactly where their tools are (docs/adr/0023-toolchain-names.md).
//
// A program is known by its bytes. Most are ELF files that carry a hash of them, the build id that
// linkers write; so naming a compiler takes a few small reads and not hundreds of megabytes.

import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readdirSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { absent, type Look, lookAt } from "../workspace/look.ts";
import { goFolders, type Mnemonic, systemPath } from "./build-action.ts";

/** Tools that belong together; `system` is all of them with the shell and what scripts use. */
export type Kit = "cpp" | "go" | "java" | "javascript" | "python" | "rust" | "system";

/** The tools of one machine, each kit read when first asked for. */
export interface SystemToolchain {
  /** Such as `cpp-gcc-12-3f2a91c04b7d55aa`; undefined where none of its programs is here. */
  nameOf(kit: Kit): string | undefined;
  /** Every file and folder looked at so far, there or not, as it was before it was read. */
  seen(): ReadonlyMap<string, Look>;
}

/** All kits; `system` is the one that contains the others. */
export const kits: readonly Kit[] = [
  ...(["cpp", "go", "java", "javascript", "python", "rust", "system"] as const),
];

interface KitParts {
  /** Found on the system's PATH; the first that is here gives the kit its label. */
  readonly programs: readonly string[];
  /** Folders where they are looked for after the PATH. */
  readonly elsewhere?: readonly string[];
  /** What these programs load, relative to the folder where the program really is. */
  readonly beside: readonly string[];
  /** Files of the system; `*` stands for any part of a name. */
  readonly files: readonly string[];
  readonly uses: readonly Kit[];
}

const libraryFolders = ["/usr/lib/*-linux-*", "/usr/lib64", "/usr/lib", "/lib/*-linux-*", "/lib"];
const cLibraryFiles = ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "crt1.o"];
const gccFiles = ["cc1", "cc1plus", "collect2", "lto1", "crtbegin.o", "crtend.o", "libgcc.a"];

/** The C library is the tools' own and that of everything they link. */
const cLibrary = [
  ...libraryFolders.flatMap((folder) => cLibraryFiles.map((name) => `${folder}/${name}`)),
  ...["/lib64/libc.so.6", "/lib/ld-musl-*.so.1"],
];

const partsByKit: Readonly<Record<Kit, KitParts>> = {
  cpp: {
    programs: ["cc", "c++", "gcc", "g++", "clang", "clang++", "cpp", "as", "ld", "ar", "ranlib"],
    beside: ["../lib/libclang-cpp.so*", "../lib/libLLVM*.so*"],
    files: [
      ...["/usr/lib/gcc/*-linux*/*", "/usr/libexec/gcc/*-linux*/*"].flatMap((folder) =>
        gccFiles.map((name) => `${folder}/${name}`),
      ),
      ...cLibrary,
      ...["/usr/include/features.h", "/usr/include/stdio.h", "/usr/include/c++/*/version"],
      // macOS, where the programs on the PATH only call these.
      ...["clang", "ld", "ar"].map((name) => `/Library/Developer/CommandLineTools/usr/bin/${name}`),
    ],
    uses: [],
  },
  go: {
    programs: ["go"],
    elsewhere: goFolders,
    beside: ["../VERSION", "../pkg/tool/*/asm", "../pkg/tool/*/compile", "../pkg/tool/*/link"],
    files: [],
    uses: [],
  },
  java: {
    programs: ["javac", "java", "jar"],
    beside: ["../release", "../lib/server/libjvm.so"],
    files: [],
    uses: [],
  },
  javascript: { programs: ["node"], beside: [], files: cLibrary, uses: [] },
  python: { programs: ["python3"], beside: [], files: cLibrary, uses: [] },
  rust: { programs: ["rustc"], beside: ["../lib/librustc_driver-*"], files: [], uses: ["cpp"] },
  system: {
    programs: ["sh", "bash", "sed", "awk", "grep", "cp", "find", "make", "perl", "tar"],
    beside: [],
    files: [],
    uses: ["cpp", "go", "java", "javascript", "python", "rust"],
  },
};

const kitByMnemonic: Readonly<Record<Mnemonic, Kit>> = {
  ...{ CppCompile: "cpp", CppArchive: "cpp", CppLink: "cpp" },
  ...{ GoStd: "go", GoCompile: "go", GoLink: "go" },
  ...{ JsCheck: "javascript", JsBundle: "javascript", TsCompile: "javascript" },
  ...{ JavaCompile: "java", RustCompile: "rust" },
  ...{ PythonCheck: "python", PythonBundle: "python" },
  ...{ Custom: "system", TestRun: "system" },
};

/** Bound: names in one folder that match one pattern, versions of a compiler for example. */
const matchesMax = 64;
/** For a program that builds often: what looks the same need not be read again. */
const identityByLook = new Map<string, string>();
/** Linkers put the build id right behind the headers. One buffer does for all files. */
const head = Buffer.alloc(4096);

/** The kit whose tools an action runs. */
export function kitOf(mnemonic: Mnemonic): Kit {
  return kitByMnemonic[mnemonic];
}

/**
 * The tools below `root`, the machine's "/". `hashOf` reads a file whose bytes must be read whole;
 * it may remember them, and throws where it cannot read.
 */
export function readSystemToolchain(hashOf: (path: string) => string, root = "/"): SystemToolchain {
  const seen = new Map<string, Look>();
  const linesByKit = new Map<Kit, readonly string[]>();
  const labelByKit = new Map<Kit, string>();
  const nameByKit = new Map<Kit, string | undefined>();

  function look(path: string): Look {
    const found = seen.get(path) ?? lookAt(path);
    seen.set(path, found);
    return found;
  }

  /** One line for each file that is here: where it really is, and which bytes. */
  function linesOf(kit: Kit): readonly string[] {
    const known = linesByKit.get(kit);
    if (known !== undefined) return known;
    const { programs, elsewhere, beside, files, uses } = partsByKit[kit];
    const lines = new Set<string>();
    for (const program of programs) {
      const path = findProgram(program, elsewhere);
      if (path === undefined) continue;
      const real = realPathOf(path);
      if (!labelByKit.has(kit)) labelByKit.set(kit, labelOf(real));
      lines.add(`${program} ${lineOf(real)}`);
      for (const pattern of beside) {
        for (const file of matching(join(dirname(real), pattern))) lines.add(lineOf(file));
      }
    }
    for (const pattern of files) {
      for (const file of matching(join(root, pattern))) lines.add(lineOf(realPathOf(file)));
    }
    for (const other of uses) for (const line of linesOf(other)) lines.add(line);
    const sorted = [...lines].sort();
    linesByKit.set(kit, sorted);
    return sorted;
  }

  function lineOf(path: string): string {
    const known = look(path);
    const key = `${path} ${known}`;
    const identity = identityByLook.get(key) ?? identityOf(path, hashOf);
    identityByLook.set(key, identity);
    return `/${relative(root, path)} ${identity}`;
  }

  function findProgram(name: string, elsewhere: readonly string[] = []): string | undefined {
    const folders = [...systemPath.split(":"), ...elsewhere];
    const places = folders.map((folder) => join(root, folder, name));
    return places.find((path) => look(path) !== absent);
  }

  /** The files that a path with `*` in it stands for, sorted. */
  function matching(pattern: string): readonly string[] {
    let found = ["/"];
    for (const segment of pattern.split("/").filter((part) => part !== "")) {
      found = found.flatMap((folder) =>
        segment.includes("*")
          ? namesIn(folder, segment).map((name) => join(folder, name))
          : [join(folder, segment)],
      );
    }
    return found.filter((path) => look(path) !== absent);
  }

  function namesIn(folder: string, segment: string): readonly string[] {
    if (look(folder) === absent) return [];
    const [before = "", ...rest] = segment.split("*");
    const after = rest.join("*");
    const names = namesOf(folder).filter((name) => matches(name, before, after));
    return names.sort().slice(0, matchesMax);
  }

  return {
    nameOf: (kit) => {
      if (nameByKit.has(kit)) return nameByKit.get(kit);
      const lines = linesOf(kit);
      const label = labelByKit.get(kit);
      const hash = createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
      const shown = kit === "system" ? [kit, hash] : [kit, label, hash];
      const name = label === undefined ? undefined : shown.join("-");
      nameByKit.set(kit, name);
      return name;
    },
    seen: () => seen,
  };
}

/** The build id of an ELF file by its first bytes, as hex; undefined where it has none there. */
export function buildIdOf(head: Buffer): string | undefined {
  // Of little-endian 64-bit files, which those of all machines are that we build on (elf(5)).
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  if (head[4] !== 2 || head[5] !== 1) return undefined;
  const [tableAt, entryBytes, entries] = [
    Number(head.readBigUInt64LE(32)),
    head.readUInt16LE(54),
    head.readUInt16LE(56),
  ];
  for (let at = tableAt; at < tableAt + entries * entryBytes; at += entryBytes) {
    if (entryBytes < 56 || at + 56 > head.length) return undefined;
    if (head.readUInt32LE(at) !== segmentOfNotes) continue;
    const start = Number(head.readBigUInt64LE(at + 8));
    const end = start + Number(head.readBigUInt64LE(at + 32));
    const id = end <= head.length ? noteOf(head.subarray(start, end)) : undefined;
    if (id !== undefined) return id;
  }
  return undefined;
}

const segmentOfNotes = 4;
/** Whose note of which type is a build id: binutils', and Go's, which ends with a hash too. */
const idTypeByOwner: Readonly<Record<string, number>> = { "GNU\0": 3, "Go\0\0": 4 };

/** The build id among the notes of a segment. Name and contents are padded to four bytes. */
function noteOf(notes: Buffer): string | undefined {
  for (let at = 0; at + 12 <= notes.length; ) {
    const [nameBytes, idBytes] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4)];
    const idAt = at + 12 + padded(nameBytes);
    const owner = notes.toString("latin1", at + 12, at + 12 + Math.min(nameBytes, 8));
    const isId = idTypeByOwner[owner] === notes.readUInt32LE(at + 8);
    if (isId && idAt + idBytes <= notes.length) {
      return notes.subarray(idAt, idAt + idBytes).toString("hex");
    }
    at = idAt + padded(idBytes);
  }
  return undefined;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

/** Where a path leads; itself where that cannot be had. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** What stands for a file's bytes; for one that cannot be read, that it cannot. */
function identityOf(path: string, hashOf: (path: string) => string): string {
  try {
    const file = openSync(path, "r");
    try {
      const id = buildIdOf(head.subarray(0, readSync(file, head, 0, head.length, 0)));
      if (id !== undefined) return `build-id ${id} ${fstatSync(file).size}`;
    } finally {
      closeSync(file);
    }
    return `sha256 ${hashOf(path)}`;
  } catch {
    return "unreadable";
  }
}

function namesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Whether a name begins and ends so; further stars lie in between. */
function matches(name: string, before: string, after: string): boolean {
  const parts = after.split("*");
  const end = parts.pop() ?? "";
  let at = before.length;
  if (!name.startsWith(before) || !name.endsWith(end)) return false;
  for (const part of parts) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + end.length <= name.length;
}

/** `/usr/bin/x86_64-linux-gnu-gcc-12` → `gcc-12`. */
function labelOf(program: string): string {
  const name = basename(program).replace(/^\w+-(\w+-)?linux-\w+-/, "");
  return name.replaceAll(/[^\w.+-]/g, "_").slice(0, 40);
}
