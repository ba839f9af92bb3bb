import { expect, test } from "vitest";
import { compareFiles } from "../../../src/audit/compare-files.ts";
import { likelyCause, type Varied } from "../../../src/audit/likely-cause.ts";

const command = { mnemonic: "Custom", argv: ["/bin/sh", "-e", "-c", "make it"] } as const;
const compile = { mnemonic: "CppCompile", argv: ["cc", "-c", "a.c"] } as const;

function cause(
  varied: Varied[],
  a: Buffer,
  b: Buffer,
  action = command as typeof command | typeof compile,
) {
  const difference = compareFiles(a, b);
  if (difference === undefined) throw new Error("they are equal");
  return likelyCause(varied, difference, a, action);
}

function archive(time: string): Buffer {
  const header = (name: string, mtime: string) =>
    `${name.padEnd(16)}${mtime.padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${"3".padEnd(10)}\`\n`;
  return Buffer.from(`!<arch>\n${header("a.o/", "0")}abc\n${header("b.o/", time)}abc\n`);
}

test("archives, compressed files and compilers are known by their bytes", () => {
  expect(cause(["time"], archive("1700000000"), archive("1800000000")).remedy).toContain("ar rcsD");
  const gzip = (time: number) => Buffer.from([0x1f, 0x8b, 8, 8, time, 2, 3, 4, 0, 3]);
  expect(cause(["time"], gzip(1), gzip(2)).remedy).toContain("gzip -n");
  const zip = (time: number) => Buffer.concat([Buffer.from("PK\x03\x04"), Buffer.alloc(26, time)]);
  expect(cause(["time"], zip(1), zip(2)).text).toContain("zip");
  const tar = (time: string) => Buffer.from(`${time.padEnd(257)}ustar`);
  expect(cause(["time"], tar("1"), tar("2")).remedy).toContain("--sort=name");
  const [a, b] = [Buffer.from("Nov 27 2026"), Buffer.from("Jan  1 2028")];
  expect(cause(["time"], a, b, compile).remedy).toContain("SOURCE_DATE_EPOCH");
  expect(cause(["path"], a, b, compile).remedy).toContain("/proc/self/cwd");
});

test("what is by chance: UUIDs, and else what commands do", () => {
  const uuid = (digit: string) => Buffer.from(`id=${digit}0fee25b-0a6d-4f8d-8286-fda1342d2f17;`);
  expect(cause(["chance"], uuid("a"), uuid("b")).text).toBe("a UUID");
  expect(cause(["chance"], Buffer.from("1"), Buffer.from("2")).remedy).toContain("PYTHONHASHSEED");
});

test("what was varied alone is believed before any look", () => {
  const one = [Buffer.from("1"), Buffer.from("2")] as const;
  expect(cause(["order"], ...one).remedy).toContain("sort");
  expect(cause(["cores"], ...one).text).toBe("the number of cores");
  expect(cause(["pids"], ...one).text).toContain("process");
  expect(cause(["time"], ...one).remedy).toContain("SOURCE_DATE_EPOCH");
  expect(cause(["path", "cores"], ...one).text).toMatch(/folder.*; .*cores/);
  // Bytes of an archive's time that differ by the order of its members.
  expect(cause(["order"], archive("1"), archive("2")).text).toContain("folders list");
});

test("a broken archive is no reason to fail", () => {
  const broken = (byte: number) =>
    Buffer.concat([Buffer.from("!<arch>\n"), Buffer.alloc(90, byte)]);
  expect(cause(["time"], broken(65), broken(66)).text).toBe("the clock");
});
