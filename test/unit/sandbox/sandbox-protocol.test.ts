import { constants } from "node:os";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mapsId } from "../../../src/sandbox/choose-sandbox.ts";
import type { SandboxRun } from "../../../src/sandbox/sandbox.ts";
import { decodeAnswer, encodeSpec, setupFailure } from "../../../src/sandbox/sandbox-protocol.ts";

const run: SandboxRun = {
  execRoot: "/s/root",
  workingDirectory: "sub",
  argv: ["cc", "-c", ""],
  env: { PATH: "/bin", EMPTY: "" },
  stdoutPath: "/s/out",
  stderrPath: "/s/err",
  scratch: "/s",
  network: false,
  inputs: { bytes: 100, files: 10 },
  limits: {
    ...{ wallMs: 1, memoryBytes: 2, cpus: 0.5, pids: 3, openFiles: 4, fileBytes: 5 },
    ...{ logBytes: 6, outputBytes: 7, outputFiles: 8, tmpBytes: 9, tmpFiles: 10 },
  },
};
const settings = { cgroups: [{ hierarchy: "pids", parent: "/cg" }] as const, hostId: 65530 };

describe("a specification", () => {
  test("is entries ended by NUL, the scratch folder first, an empty one last", () => {
    expect(encodeSpec(run, settings).toString().split("\0")).toEqual([
      "scratch=/s",
      "execRoot=/s/root",
      "workingDirectory=sub",
      "stdoutPath=/s/out",
      "stderrPath=/s/err",
      "interactive=0",
      "network=0",
      "hostId=65530",
      "wallMs=1",
      "memoryBytes=2",
      "cpuMillis=500",
      "pids=3",
      "openFiles=4",
      "fileBytes=5",
      "logBytes=6",
      "treeBytes=107",
      "treeFiles=18",
      "inputBytes=100",
      "inputFiles=10",
      "tmpBytes=9",
      "tmpFiles=10",
      "cgroup.pids=/cg",
      "arg=cc",
      "arg=-c",
      "arg=",
      "env=PATH=/bin",
      "env=EMPTY=",
      "",
      "",
    ]);
  });

  test("no argument or variable can pose as another entry", () => {
    const word = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(
        fc.array(word),
        fc.dictionary(fc.stringMatching(/^[A-Z_]+$/), word),
        (words, env) => {
          const argv = ["x", ...words] as const;
          const entries = encodeSpec({ ...run, argv, env }, settings)
            .toString()
            .split("\0");
          const starting = (key: string) => entries.filter((entry) => entry.startsWith(`${key}=`));
          expect(starting("arg")).toEqual(argv.map((text) => `arg=${text}`));
          expect(starting("env").sort()).toEqual(
            Object.entries(env)
              .map(([name, value]) => `env=${name}=${value}`)
              .sort(),
          );
          expect(entries).toHaveLength(22 + argv.length + Object.keys(env).length + 2);
        },
      ),
    );
  });

  test("a NUL byte anywhere is refused", () => {
    const bad: Partial<SandboxRun>[] = [
      { argv: ["a\0b"] },
      { env: { A: "\0" } },
      { env: { "\0": "" } },
      { workingDirectory: "a\0" },
      { execRoot: "/\0" },
    ];
    for (const change of bad) {
      expect(() => encodeSpec({ ...run, ...change }, settings)).toThrow("NUL byte");
    }
  });

  test("limits are whole and at least one; huge ones are as good as none", () => {
    const limits = { ...run.limits, memoryBytes: Number.POSITIVE_INFINITY, wallMs: 0.1 };
    const text = encodeSpec({ ...run, limits }, settings).toString();
    expect(text).toContain(`memoryBytes=${2 ** 50}\0`);
    expect(text).toContain("wallMs=1\0");
    for (const bad of [0, -1, Number.NaN]) {
      const broken = { ...run, limits: { ...run.limits, pids: bad } };
      expect(() => encodeSpec(broken, settings)).toThrow("limit pids wants a number above 0");
    }
  });

  test("more than the program reads is refused here", () => {
    const long = "x".repeat(1 << 20);
    const argv = ["x", ...Array<string>(8).fill(long)] as const;
    expect(() => encodeSpec({ ...run, argv }, settings)).toThrow("more than 8388608 bytes");
  });
});

describe("an answer", () => {
  test("of a run is a result", () => {
    const line =
      '{"exitCode":137,"limit":"memory","cancelled":false,"wallUs":1500,"userUs":2,' +
      '"systemUs":3000,"memoryPeakBytes":77,"readBytes":1,"writtenBytes":2,' +
      '"diskReadBytes":3,"diskWrittenBytes":4,"waits":5,"preemptions":6}';
    const io = {
      ...{ readBytes: 1, writtenBytes: 2, diskReadBytes: 3, diskWrittenBytes: 4 },
      ...{ waits: 5, preemptions: 6 },
    };
    expect(decodeAnswer(line)).toEqual({
      exitCode: 137,
      limit: "memory",
      cancelled: false,
      usage: { wallMs: 1.5, userCpuMs: 0.002, systemCpuMs: 3, memoryPeakBytes: 77, io },
    });
    expect(decodeAnswer(line.replace("memory", "")).limit).toBeUndefined();
    expect(decodeAnswer(line.replace("memory", "tmpFiles")).limit).toBe("tmpFiles");
  });

  test("of a failed set-up throws", () => {
    const line = `{"failed":"clone","errno":${constants.errno.EPERM}}`;
    expect(() => decodeAnswer(line)).toThrow(/clone: EPERM.*sysctl.*--sandbox=none/);
  });

  test("that makes no sense is the sandbox's death, whatever it is", () => {
    for (const line of ["", "{", "null", "[]", '{"exitCode":"0"}', '{"exitCode":0}']) {
      expect(() => decodeAnswer(line)).toThrow("died without an answer");
    }
  });
});

describe("a set-up failure", () => {
  const { errno } = constants;

  test("names its step and errno, and what to do", () => {
    expect(setupFailure("mount proc", errno.EPERM).message).toContain("unmasked /proc");
    expect(setupFailure("open_tree", errno.ENOSYS).message).toContain("Linux 5.12");
    expect(setupFailure("mount proc", errno.EPERM).message).toContain("systempaths=unconfined");
    expect(setupFailure("clone", errno.ENOSYS).message).toMatch(/5\.12.*seccomp=unconfined.*none/);
    expect(setupFailure("clone", errno.EPERM).message).toMatch(/sysctl.*seccomp=unconfined.*none/);
    expect(setupFailure("seccomp", errno.EINVAL).message).toContain("CONFIG_SECCOMP_FILTER");
    expect(setupFailure("uid_map", errno.EPERM).message).toContain("apparmor_restrict");
    expect(setupFailure("stdout", errno.EACCES).message).not.toContain("sysctl");
  });

  test("is the caller's, the moment's or the machine's", () => {
    expect(setupFailure("chdir", errno.ENOENT).code).toBe("INVALID_ARGUMENT");
    expect(setupFailure("clone", errno.EAGAIN).code).toBe("RESOURCE_EXHAUSTED");
    expect(setupFailure("stdout", errno.ENOSPC).code).toBe("RESOURCE_EXHAUSTED");
    expect(setupFailure("clone", errno.ENOSPC).code).toBe("UNAVAILABLE");
    expect(setupFailure("pivot_root", 0).code).toBe("UNAVAILABLE");
  });
});

describe("a user namespace", () => {
  test("maps what lies in one of its ranges", () => {
    const map = "         0       1000          1\n         1     100000      65536\n";
    expect(mapsId(map, 0)).toBe(true);
    expect(mapsId(map, 65536)).toBe(true);
    expect(mapsId(map, 65537)).toBe(false);
    expect(mapsId("", 0)).toBe(false);
  });
});
