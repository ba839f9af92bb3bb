import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  findDelegatedParent,
  ownCgroup,
  parseCgroupMounts,
  startTime,
  sweepCgroups,
} from "../../../src/sandbox/cgroup.ts";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("cgroup mounts", () => {
  test("both versions are read, other file systems are not", () => {
    const text = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 /docker/4f /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
`;
    expect(parseCgroupMounts(text)).toEqual([
      {
        version: 1,
        controllers: ["rw", "cpu", "cpuacct"],
        root: "/",
        folder: "/sys/fs/cgroup/cpu,cpuacct",
      },
      { version: 2, controllers: [], root: "/docker/4f", folder: "/sys/fs/cgroup/unified" },
    ]);
  });

  test("nonsense holds no mounts", () => {
    expect(parseCgroupMounts("")).toEqual([]);
    expect(parseCgroupMounts("a b\n - cgroup2\n1 2 3")).toEqual([]);
  });
});

describe("the cgroup of this process", () => {
  const unified = { version: 2, controllers: [], root: "/", folder: "/cg" } as const;
  const memory = { version: 1, controllers: ["memory"], root: "/", folder: "/cg/memory" } as const;
  const membership = "4:cpu,cpuacct:/a\n3:memory:/b/c:d\n1:name=systemd:/x\n0::/user.slice/me\n";

  test("is looked up in the hierarchy of the mount", () => {
    expect(ownCgroup(membership, unified)).toBe("/cg/user.slice/me");
    expect(ownCgroup(membership, memory)).toBe("/cg/memory/b/c:d");
    expect(ownCgroup(membership, { ...memory, controllers: ["pids"] })).toBeUndefined();
  });

  test("is relative to the part of the hierarchy that is mounted", () => {
    expect(ownCgroup(membership, { ...unified, root: "/user.slice" })).toBe("/cg/me");
    expect(ownCgroup(membership, { ...unified, root: "/user.slice/me" })).toBe("/cg");
    expect(ownCgroup(membership, { ...unified, root: "/user" })).toBeUndefined();
  });

  test("outside of what a container sees is nowhere", () => {
    expect(ownCgroup("0::/../../other\n", unified)).toBeUndefined();
  });
});

describe("a delegated parent", () => {
  /** A tree of folders that look like version 2 cgroups, top first. */
  function newTree(controls: readonly string[]): { top: string; own: string; all: string[] } {
    const top = mkdtempSync(join(tmpdir(), "builder-cgroup-"));
    folders.push(top);
    const all = controls.map((_, index) => join(top, ...Array(index).fill("sub")));
    for (const [index, folder] of all.entries()) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "cgroup.subtree_control"), controls[index]!);
      writeFileSync(join(folder, "cgroup.procs"), "");
    }
    return { top, own: all.at(-1)!, all };
  }

  test("is the nearest folder whose children have limits already", () => {
    const { top, own, all } = newTree(["cpu memory pids", "memory pids", ""]);
    expect(findDelegatedParent(top, own)).toBe(all[1]);
  });

  test("is asked for CPU shares too, from the top down", () => {
    const { top, own, all } = newTree(["memory pids", "memory pids", ""]);
    findDelegatedParent(top, own);
    const controls = all.map((folder) =>
      readFileSync(join(folder, "cgroup.subtree_control"), "utf8"),
    );
    expect(controls).toEqual(["+cpu", "+cpu", ""]);
  });

  test("is none where the kernel grants nothing", () => {
    // Plain files keep what is written, sign and all, so nothing is ever granted here.
    const { top, own } = newTree(["cpu", ""]);
    expect(findDelegatedParent(top, own)).toBeUndefined();
  });

  test("is not emptied of its processes where that could not help", () => {
    const { top, own } = newTree(["cpu", "cpu"]);
    writeFileSync(join(own, "cgroup.controllers"), "cpu hugetlb");
    writeFileSync(join(own, "cgroup.procs"), "4194999");
    findDelegatedParent(top, own);
    expect(existsSync(join(own, "builder-node"))).toBe(false);
    writeFileSync(join(top, "cgroup.controllers"), "cpu memory pids");
    findDelegatedParent(top, own);
    expect(existsSync(join(top, "builder-node"))).toBe(false);
    writeFileSync(join(own, "cgroup.controllers"), "cpu memory pids");
    findDelegatedParent(top, own);
    expect(readFileSync(join(own, "builder-node/cgroup.procs"), "utf8")).toBe("4194999");
  });

  test("is never above the mount", () => {
    const { top, all } = newTree(["memory pids", "", ""]);
    expect(findDelegatedParent(all[1]!, all[2]!)).toBeUndefined();
    expect(findDelegatedParent(all[1]!, top)).toBeUndefined();
  });
});

describe("a sweep", () => {
  test("removes what dead owners left and nothing else", () => {
    const parent = mkdtempSync(join(tmpdir(), "builder-cgroup-"));
    folders.push(parent);
    const own = `builder-${process.pid}-${startTime(String(process.pid))}`;
    const reused = `builder-${process.pid}-1`;
    for (const name of [own, reused, "builder-4194999-5", "builder-x", "other"]) {
      mkdirSync(join(parent, name));
    }
    sweepCgroups([{ hierarchy: "2", parent }]);
    for (const name of [own, "builder-x", "other"]) rmSync(join(parent, name), { recursive: true });
    expect(() => readFileSync(join(parent, reused))).toThrow("ENOENT");
    expect(() => readFileSync(join(parent, "builder-4194999-5"))).toThrow("ENOENT");
  });

  test("of a folder that is gone is harmless", () => {
    expect(() => sweepCgroups([{ hierarchy: "2", parent: "/does/not/exist" }])).not.toThrow();
  });
});
