// A Bazel of today: compression both ways, building without the bytes by default. Debian builds it
// without BLAKE3 (refused at its start) and without TLS, which access.test.ts has a Bazel for.

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bazel7Settings, inTree, runInTree, whyNoTree } from "../support/client-tree.ts";
import { createPlace, type Ended, type Place, run, startNode } from "../support/programs.ts";

const reason = whyNoTree();
if (reason !== undefined) process.stderr.write(`SKIPPED Bazel 7's tests: ${reason}\n`);

let place: Place;
let workspace: string;

function bazel(command: string, ...args: readonly string[]): Promise<Ended> {
  const home = `--output_user_root=${join(place.folder, "bazel")}`;
  return runInTree(place, workspace, "/usr/bin/bazel", [home, command, ...args]);
}

/** A node in the same tree, for the tests of one `describe`. */
function useNode(flags: () => readonly string[]): () => string {
  let node: Awaited<ReturnType<typeof startNode>> | undefined;
  beforeAll(async () => {
    node = await startNode(place, ["--workers-min", "2", ...flags()], inTree(place.folder));
  });
  afterAll(() => node?.stop());
  return () => node?.address.split(":").at(-1) ?? "";
}

describe.skipIf(reason !== undefined)("Bazel 7", () => {
  const token = "client-token-0123456789";
  let tokens: string;

  beforeAll(async () => {
    place = createPlace();
    tokens = join(place.folder, "tokens");
    writeFileSync(tokens, `${token} client laptop\n`, { mode: 0o600 });
    workspace = place.example("bazel");
    appendFileSync(join(workspace, ".bazelrc"), bazel7Settings);
  });
  afterAll(async () => {
    await bazel("shutdown");
    await run(place, place.folder, "chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    place.remove();
  });

  describe("with zstd", () => {
    const port = useNode(() => []);
    const calls = () => join(place.folder, "calls.log");
    const zstd = (command: string, ...args: readonly string[]) =>
      bazel(command, ...args, "--remote_cache_compression", `--remote_grpc_log=${calls()}`);
    const executor = () => ["--config=remote", `--remote_executor=grpc://127.0.0.1:${port()}`];
    const cache = () => ["--config=cache", `--remote_cache=grpc://127.0.0.1:${port()}`];

    test("builds and tests with 50 jobs, and every blob travels compressed", async () => {
      const done = await zstd("test", "//...", ...executor(), "--jobs=50");
      expect(done.stdout).toMatch(/greeting_test\s+PASSED/);
      expect(done.stderr).toMatch(/\d+ remote\./);
      const log = readFileSync(calls(), "latin1");
      expect(log).toMatch(/uploads\/[^/]+\/compressed-blobs\/zstd\//);
      expect(log).not.toMatch(/uploads\/[^/]+\/blobs\//);
    });

    test("gets everything from the cache after clean, compressed too", async () => {
      await bazel("clean");
      const all = "--remote_download_outputs=all";
      const done = await zstd("build", "//...", ...executor(), all);
      expect(done.stderr).toMatch(/8 remote cache hit/);
      expect(readFileSync(join(workspace, "bazel-bin/hello/shout.txt"), "utf8")).toContain("MANY");
      expect(readFileSync(calls(), "latin1")).toMatch(/[^/]compressed-blobs\/zstd\//);
    });

    test("shows a failing action's own words and exit code", async () => {
      const done = await zstd("build", "//hello:failing", ...executor());
      expect(done.stderr).toMatch(/\(Exit 3\)/);
      expect(done.stderr.match(/^this cannot work$/gm)).toHaveLength(1);
      expect(done.code).toBe(1);
    });

    test("sees a test that takes too long as a time-out", async () => {
      const done = await zstd("test", "//hello:slow_test", "--test_timeout=2", ...executor());
      expect(done.stdout).toMatch(/slow_test\s+TIMEOUT/);
      expect(done.code).toBe(3);
    });

    test("builds without the bytes", async () => {
      await bazel("clean");
      const done = await zstd("build", "//...", ...executor(), "--remote_download_minimal");
      expect(done.stderr).toMatch(/remote cache hit/);
      expect(done.code).toBe(0);
    });

    test("uses it as a cache only", async () => {
      const only = "--define=only=cache";
      await bazel("clean");
      expect((await zstd("build", "//...", ...cache(), only)).code).toBe(0);
      await bazel("clean");
      const hit = await zstd("build", "//...", ...cache(), only);
      expect(hit.stderr).toMatch(/\d+ remote cache hit/);
      expect(hit.stderr).not.toMatch(/processes: .*(linux-sandbox|local)/);
    });
  });

  describe("with a token, compressed", () => {
    const port = useNode(() => ["--token-file", tokens]);
    const build = (...args: readonly string[]) => {
      const executor = `--remote_executor=grpc://127.0.0.1:${port()}`;
      return bazel(
        "build",
        "//...",
        "--config=remote",
        "--remote_cache_compression",
        executor,
        ...args,
      );
    };

    test("hears what to do where it shows none", async () => {
      const done = await build();
      expect(done.stderr).toMatch(/UNAUTHENTICATED.*A caller without a token.*Bearer/);
      expect(done.code).not.toBe(0);
    });

    test("builds as a client", async () => {
      const done = await build(`--remote_header=authorization=Bearer ${token}`);
      expect(done.stderr).toMatch(/\d+ remote[. ]/);
      expect(done.code).toBe(0);
    });
  });
});
