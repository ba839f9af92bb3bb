// A Bazel of today: compression both ways, building without the bytes by default. Debian builds it
// without BLAKE3 (refused at its start) and without TLS, which access.test.ts has a Bazel for.

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bazel7Settings, nodeInTree, runInTree, whyNoTree } from "../support/client-tree.ts";
import { createPlace, type Ended, type Place, run, startNode } from "../support/programs.ts";
import { testBazel } from "./bazel-list.ts";

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
    node = await startNode(place, ["--workers-min", "2", ...flags()], nodeInTree(place.folder));
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
    const flags = () => ["--remote_cache_compression", `--remote_grpc_log=${calls()}`];
    const executor = () => ["--config=remote", `--remote_executor=grpc://127.0.0.1:${port()}`];
    const cache = () => ["--config=cache", `--remote_cache=grpc://127.0.0.1:${port()}`];

    testBazel({
      workspace: () => workspace,
      remote: (command, ...args) => bazel(command, ...flags(), ...executor(), ...args),
      cache: (command, ...args) => bazel(command, ...flags(), ...cache(), ...args),
      clean: () => bazel("clean"),
    });

    test("sends and fetches every blob compressed", async () => {
      await bazel("clean");
      appendFileSync(join(workspace, "hello/words.txt"), "changed\n");
      const all = "--remote_download_outputs=all";
      expect((await bazel("build", "//...", ...flags(), ...executor(), all)).code).toBe(0);
      const log = readFileSync(calls(), "latin1");
      expect(log).toMatch(/uploads\/[^/]+\/compressed-blobs\/zstd\//);
      expect(log).toMatch(/[^/]compressed-blobs\/zstd\//);
      expect(log).not.toMatch(/[^-]blobs\//);
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
      await bazel("clean");
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
