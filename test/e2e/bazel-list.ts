// What every Bazel must be able to do with a node, in the order in which each builds on the last.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Ended } from "../support/programs.ts";

/** A Bazel in the example's workspace. `remote` executes on the node, `cache` only asks it. */
export interface BazelUnderTest {
  readonly workspace: () => string;
  readonly remote: (command: string, ...args: readonly string[]) => Promise<Ended>;
  readonly cache: (command: string, ...args: readonly string[]) => Promise<Ended>;
  readonly clean: () => Promise<Ended>;
}

/** Defines the tests. */
export function testBazel({ workspace, remote, cache, clean }: BazelUnderTest): void {
  test("builds and tests with 50 jobs", async () => {
    const done = await remote("test", "//...", "--jobs=50");
    expect(done.stdout).toMatch(/greeting_test\s+PASSED/);
    expect(done.stderr).toMatch(/\d+ remote\./);
    expect(done.code).toBe(0);
  });

  test("gets everything from the cache after clean", async () => {
    await clean();
    const done = await remote("build", "//...");
    expect(done.stderr).toMatch(/8 remote cache hit/);
    expect(readFileSync(join(workspace(), "bazel-bin/hello/shout.txt"), "utf8")).toContain("MANY");
  });

  test("shows a failing action's own words and exit code", async () => {
    const done = await remote("build", "//hello:failing");
    expect(done.stderr).toMatch(/\(Exit 3\)/);
    expect(done.stderr.match(/^this cannot work$/gm)).toHaveLength(1);
    expect(done.code).toBe(1);
  });

  test("sees a test that takes too long as a time-out", async () => {
    const done = await remote("test", "//hello:slow_test", "--test_timeout=2");
    expect(done.stdout).toMatch(/slow_test\s+TIMEOUT/);
    expect(done.code).toBe(3);
  });

  test("builds without the bytes", async () => {
    await clean();
    const done = await remote("build", "//...", "--remote_download_minimal");
    expect(done.stderr).toMatch(/remote cache hit/);
    expect(done.code).toBe(0);
  });

  test("uses it as a cache only", async () => {
    await clean();
    const filled = await cache("build", "//...", "--define=only=cache");
    expect(filled.code).toBe(0);
    await clean();
    const hit = await cache("build", "//...", "--define=only=cache");
    expect(hit.stderr).toMatch(/\d+ remote cache hit/);
    expect(hit.stderr).not.toMatch(/processes: .*(linux-sandbox|local)/);
  });
}
