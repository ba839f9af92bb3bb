import { describe, expect, test } from "vitest";
import { type ActionSpec, findOutside, isUndeclared } from "../../../src/audit/outside-spec.ts";
import type {
  AuditedAddress,
  AuditedFile,
  AuditOp,
  AuditTrace,
} from "../../../src/sandbox/audit-trace.ts";

const spec: ActionSpec = {
  execRoot: "/store/scratch/1/root",
  scratch: "/store/scratch/1",
  workspace: "/home/me/ws",
  isOutput: (path) => path === "out.txt" || path.startsWith("out/"),
  isThere: (path) => path !== "gone.tmp",
  network: false,
  isCommand: true,
};

function file(path: string, ops: AuditOp[], more: Partial<AuditedFile> = {}): AuditedFile {
  const plain = { undeclared: false, uncopied: false, isFolder: false, count: 1, program: "cc" };
  return { ...plain, path, ops: new Set(ops), ...more };
}

function trace(files: AuditedFile[], addresses: string[] = [], more: Partial<AuditTrace> = {}) {
  const all = addresses.map((text): AuditedAddress => {
    const [verb, address] = text.startsWith("bind ") ? ["bind", text.slice(5)] : ["connect", text];
    return {
      verb: verb === "bind" ? "bind" : "connect",
      address: address ?? "",
      count: 1,
      program: "nc",
    };
  });
  return { files, addresses: all, blind: [], isWhole: true, ...more };
}

const root = (path: string) => `${spec.execRoot}/${path}`;
const judge = (files: AuditedFile[], addresses: string[] = [], own = spec) =>
  findOutside(trace(files, addresses), own).map(({ kind, what }) => `${kind} ${what}`);

describe("in the exec root", () => {
  test("inputs and outputs are inside, files that had to be put there are not", () => {
    const files = [
      file(root("main.c"), ["read"]),
      file(root("out.txt"), ["created", "written"]),
      file(root("out/deep/x"), ["created", "written"]),
      file(root("a.h"), ["read"], { undeclared: true }),
      file(root("b.h"), ["looked"], { undeclared: true }),
      file(root("big.bin"), ["read"], { uncopied: true }),
    ];
    expect(judge(files)).toEqual(["input a.h", "input b.h", "input big.bin"]);
  });

  test("a folder counts only where its names were asked for, and then as a notice", () => {
    const folder = { undeclared: true, isFolder: true };
    const found = findOutside(
      trace([file(root("inc"), ["looked"], folder), file(root("src"), ["listed"], folder)]),
      spec,
    );
    expect(found).toMatchObject([{ kind: "listing", what: "src" }]);
    expect(found.some(isUndeclared)).toBe(false);
  });

  test("what is left behind beside the outputs is told; temporary files are not", () => {
    const written: AuditOp[] = ["created", "written"];
    const files = [
      file(root("stray"), written),
      file(root("gone.tmp"), written),
      file(root("folder"), ["created"], { isFolder: true }),
      file(root("lib/__pycache__/a.pyc"), written),
    ];
    expect(judge(files)).toEqual(["output stray"]);
    const ofTool = { ...spec, isCommand: false };
    const left = file("/tmp/hsperfdata_root/1", ["read"]);
    expect(judge([...files, left], [], ofTool)).toEqual([]);
  });

  test("files that are looked at in a listing are told by the listing, others by themselves", () => {
    const [look, undeclared] = [["looked"], { undeclared: true }] as const;
    const files = [
      file(root("src"), ["listed"], { ...undeclared, isFolder: true, program: "ls" }),
      file(root("src/a"), [...look], { ...undeclared, program: "ls" }),
      file(root("src/b"), [...look], { ...undeclared, program: "sh" }),
      file(root("src/c"), ["looked", "read"], { ...undeclared, program: "ls" }),
    ];
    expect(judge(files)).toEqual(["input src/b", "input src/c", "listing src"]);
  });

  test("the same thing of several programs is one thing", () => {
    const undeclared = { undeclared: true };
    const files = [
      file(root("a.h"), ["read"], { ...undeclared, count: 2, program: "cc1" }),
      file(root("a.h"), ["looked"], { ...undeclared, program: "as" }),
    ];
    expect(findOutside(trace(files), spec)).toEqual([
      { kind: "input", what: "a.h", how: ["looked", "read"], count: 3, programs: ["as", "cc1"] },
    ]);
  });
});

describe("on the machine", () => {
  test("the system and the process itself are inside", () => {
    const paths = [
      ...[
        "/usr/include/stdio.h",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/opt/tool/bin/x",
        "/dev/null",
      ],
      ...["/proc/self/fd/3", "/proc/self/exe", "/etc/ld.so.cache", "/etc/alternatives/cc", "/"],
    ];
    expect(judge(paths.map((path) => file(path, ["read"])))).toEqual([]);
  });

  test("what differs from machine to machine is a notice", () => {
    const paths = ["/etc/passwd", "/proc/cpuinfo", "/proc/self/maps", "/sys/devices/x", "/etc/tz"];
    const found = findOutside(trace(paths.map((path) => file(path, ["read"]))), spec);
    expect(found.map(({ kind }) => kind)).toEqual(paths.map(() => "machine"));
    expect(found.some(isUndeclared)).toBe(false);
  });

  test("what the sandbox hides, and whatever is changed, is outside", () => {
    const files = [
      file("/home/me/.config/tool", ["read"]),
      file("/proc/4711/environ", ["read"]),
      file("/var/lib/x", ["looked"]),
      file("/dev/sda", ["read"]),
      file("/usr/lib/python3/a.pyc", ["created", "written"]),
      file("/etc/hosts", ["removed"]),
      file("/usrlocal/x", ["read"]),
    ];
    expect(judge(files)).toEqual([
      ...["hidden /dev/sda", "hidden /home/me/.config/tool", "hidden /proc/4711/environ"],
      ...["hidden /usrlocal/x", "hidden /var/lib/x"],
      ...["written /etc/hosts", "written /usr/lib/python3/a.pyc"],
    ]);
  });

  test("the workspace by its own path is another thing than a missing input", () => {
    const files = [
      file("/home/me/ws/a.h", ["read"]),
      file("/home/me/ws/sub", ["looked"], { isFolder: true }),
      file("/home/me", ["looked"], { isFolder: true }),
      file("/home/me/ws-other/a.h", ["read"]),
    ];
    expect(judge(files)).toEqual(["absolute a.h", "hidden /home/me/ws-other/a.h"]);
  });

  test("temporary files are the action's own if it made them", () => {
    const files = [
      file("/tmp", ["looked"], { isFolder: true }),
      file("/tmp/own", ["created", "written"]),
      file("/tmp/own", ["read"], { program: "as" }),
      file("/tmp/folder", ["created"], { isFolder: true }),
      file("/tmp/folder/x", ["read"]),
      file("/tmp/left-by-others", ["read"]),
      file("/tmp/others", ["written"]),
    ];
    expect(judge(files)).toEqual(["hidden /tmp/left-by-others", "written /tmp/others"]);
  });

  test("its own output streams and their folder are no business of the audit", () => {
    expect(judge([file("/store/scratch/1/stdout", ["written"])])).toEqual([]);
    expect(judge([file("/store/scratch/2/root/x", ["read"])])).toEqual([
      "hidden /store/scratch/2/root/x",
    ]);
  });
});

describe("addresses", () => {
  test("all are outside, but not where the network is allowed", () => {
    const addresses = ["10.0.0.1:80", "127.0.0.1:80", "unix @name", "unix /run/x", "family 40"];
    expect(judge([], addresses)).toHaveLength(5);
    expect(judge([], addresses, { ...spec, network: true })).toEqual([]);
  });

  test("a server of its own may be spoken to", () => {
    expect(judge([], ["bind 127.0.0.1:0", "127.0.0.1:999", "[::1]:9", "10.0.0.1:80"])).toEqual([
      "network 10.0.0.1:80",
    ]);
    const socket = file("/tmp/s", ["created"]);
    expect(judge([socket], ["unix /tmp/s", `unix ${root("s")}`, "unix /tmp/t"])).toEqual([
      "network unix /tmp/t",
    ]);
  });
});

test("what could not be followed or kept is told", () => {
  const blind = [{ call: "mount", count: 2, program: "bwrap" }];
  const found = findOutside(trace([], [], { blind, isWhole: false }), spec);
  expect(found).toMatchObject([
    { kind: "blind", what: "files beyond those that are kept" },
    { kind: "blind", what: "mount", count: 2 },
  ]);
  expect(found.every(isUndeclared)).toBe(true);
});
