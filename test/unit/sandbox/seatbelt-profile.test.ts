import { expect, test } from "vitest";
import { parseUsage, sumGroup } from "../../../src/sandbox/darwin-sandbox.ts";
import { seatbeltCommand, seatbeltProfile } from "../../../src/sandbox/seatbelt-profile.ts";

/** The rules of a profile: operations and filters as words. Throws where brackets do not close. */
function rulesOf(profile: string): string[][] {
  let depth = 0;
  for (const character of profile.replaceAll(/"[^"]*"/g, '""')) {
    if (character === "(") depth += 1;
    if (character === ")") depth -= 1;
    if (depth < 0) throw new Error("a bracket too many");
  }
  if (depth !== 0) throw new Error("a bracket is open");
  return profile
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.slice(1, -1).split(/[ ()]+/));
}

const granting = (profile: string, operation: RegExp) =>
  profile.split("\n").filter((line) => operation.test(line));

test("everything is denied first, and only its own folders and devices are written", () => {
  for (const network of [false, true]) {
    const profile = seatbeltProfile(network);
    expect(rulesOf(profile).slice(0, 2)).toEqual([
      ["version", "1"],
      ["deny", "default"],
    ]);
    const writes = granting(profile, /file-write|file\*/);
    expect(writes).toHaveLength(4);
    for (const rule of writes) {
      expect(rule).toMatch(
        /\(subpath \(param "(ROOT|TMP)"\)\)|\(literal "\/dev\/|\(subpath "\/dev\/fd/,
      );
      // Devices are written to, never made or removed.
      if (rule.includes("/dev/")) expect(rule).not.toContain("file-write*");
    }
  }
});

test("homes, volumes and other users' files are not among what is read", () => {
  const reads = granting(seatbeltProfile(true), /file-read\*/).join("\n");
  for (const path of ["/Users", "/Volumes", "/private/tmp", "/private/var/folders", "/home"]) {
    expect(reads).not.toContain(`"${path}"`);
  }
  for (const rule of reads.split("\n")) expect(rule).not.toContain('(subpath "/")');
});

test("the network is there only where an action asks", () => {
  expect(granting(seatbeltProfile(false), /network|socket|dnssd/)).toEqual([]);
  expect(granting(seatbeltProfile(true), /network/)).toEqual(["(allow network* system-socket)"]);
});

test("no path of a run is ever read as a rule", () => {
  const folders = { execRoot: '/x") (allow default) ("', temporary: "/tmp/a b" };
  const words = seatbeltCommand("/usr/bin/sandbox-exec", folders, false, ["cc", "-c", "a.c"]);
  expect(words).toEqual([
    ...["/usr/bin/sandbox-exec", "-D", `ROOT=${folders.execRoot}`, "-D", "TMP=/tmp/a b", "-p"],
    ...[seatbeltProfile(false), "--", "cc", "-c", "a.c"],
  ]);
});

test("what BSD's time says is read in ms and bytes", () => {
  const said =
    "        1.25 real         0.75 user         0.06 sys\n" +
    "             2498560  maximum resident set size\n                   0  swaps\n";
  const usage = { userCpuMs: 750, systemCpuMs: 60, memoryPeakBytes: 2_498_560 };
  expect(parseUsage(said)).toEqual(usage);
  expect(parseUsage("")).toEqual({ userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 });
});

test("a group's memory and processes are summed out of the list of all", () => {
  const list = "    1   1024\n  77   2048\n  77 100\n 770 9\nheader line\n\n";
  expect(sumGroup(list, 77)).toEqual({ bytes: 2148 * 1024, processes: 2 });
  expect(sumGroup("", 77)).toEqual({ bytes: 0, processes: 0 });
});
