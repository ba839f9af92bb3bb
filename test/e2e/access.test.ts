// Who may do what, through the programs that people build with.
//
// No Bazel that can be installed here does everything: Debian's has no TLS library, the one from
// npm (2.1.0) knows no client certificates and asks for capabilities without its headers. So TLS
// is npm's part, tokens are Debian's, and bldr shows both together and client certificates.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestAuthority, type Issued, type TestAuthority } from "../support/certificates.ts";
import {
  createPlace,
  debianBazel,
  npmBazel,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

for (const [path, from] of [
  [debianBazel, "apt install bazel-bootstrap"],
  [npmBazel, "npm install"],
]) {
  if (path !== undefined && !existsSync(path))
    process.stderr.write(`SKIPPED some of Bazel's tests: no ${path} here (${from})\n`);
}

const tokens = {
  reader: "reader-token-0123456789",
  client: "client-token-0123456789",
  writer: "writer-token-0123456789",
};
let place: Place;
let authority: TestAuthority;
let own: Issued;
let tokenFile: string;

beforeAll(async () => {
  place = createPlace();
  authority = await createTestAuthority(place.folder, "authority");
  own = await authority.issue("localhost");
  tokenFile = join(place.folder, "tokens");
  const lines = Object.entries(tokens).map(([role, token]) => `${token} ${role} the ${role}\n`);
  writeFileSync(tokenFile, lines.join(""), { mode: 0o600 });
});
afterAll(() => place.remove());

/** A node for the tests of one `describe`. */
function useNode(flags: () => readonly string[]): { port(): string; said(): string } {
  let node: SpawnedNode | undefined;
  beforeAll(async () => {
    node = await startNode(place, ["--workers-min", "1", "--log-level", "debug", ...flags()]);
  });
  afterAll(async () => {
    await node?.stop();
    for (const token of Object.values(tokens)) expect(node?.said()).not.toContain(token);
  });
  return {
    port: () => node?.address.split(":").at(-1) ?? "",
    said: () => node?.said() ?? "",
  };
}

/** A workspace and a Bazel of its own; commands run in it. */
function useBazel(program: string) {
  let workspace: string;
  const home = () => join(place.folder, `bazel-${program.replaceAll(/\W/g, "-")}`);
  const bazel = (...args: string[]) =>
    run(place, workspace, program, [`--output_user_root=${home()}`, ...args]);
  beforeAll(() => {
    workspace = place.example("bazel");
  });
  afterAll(async () => {
    await bazel("shutdown");
    execFileSync("chmod", ["-R", "u+w", home()]);
  });
  return Object.assign(bazel, { file: (path: string) => join(workspace, path) });
}

const tls = () => ["--tls-cert", own.cert, "--tls-key", own.key];
const header = (token: string) => `--remote_header=authorization=Bearer ${token}`;

describe.skipIf(!existsSync(npmBazel))("stock Bazel 2.1 over TLS", () => {
  const node = useNode(() => [...tls(), "--anonymous", "client"]);
  const bazel = useBazel(npmBazel);
  const executor = () => `--remote_executor=grpcs://localhost:${node.port()}`;

  test("builds where it is told the authority", async () => {
    const ca = `--tls_certificate=${authority.path}`;
    const done = await bazel("build", "//...", "--config=remote", executor(), ca);
    expect(done.stderr).toMatch(/\d+ remote\./);
    expect(done.code).toBe(0);
  });

  test("trusts nobody where it is not, and does not get in without TLS", async () => {
    const stranger = await bazel("build", "//...", "--config=remote", executor());
    expect(stranger.stderr).toMatch(/capabilities: UNAVAILABLE/);
    expect(stranger.code).not.toBe(0);
    const plain = `--remote_executor=grpc://localhost:${node.port()}`;
    const refused = await bazel("build", "//...", "--config=remote", plain);
    expect(refused.stderr).toMatch(/capabilities: UNAVAILABLE/);
    expect(refused.code).not.toBe(0);
  });
});

describe.skipIf(!existsSync(debianBazel))("stock Bazel 4.2 with a token", () => {
  const node = useNode(() => ["--token-file", tokenFile]);
  const bazel = useBazel(debianBazel);
  const at = () => `grpc://127.0.0.1:${node.port()}`;
  const remote = (...more: string[]) =>
    bazel("build", "//...", "--config=remote", `--remote_executor=${at()}`, ...more);
  const cached = (...more: string[]) =>
    bazel("build", "//...", "--config=cache", `--remote_cache=${at()}`, ...more);

  test("hears what to do where it shows none", async () => {
    const done = await remote();
    expect(done.stderr).toMatch(/UNAUTHENTICATED.*A caller without a token.*Bearer/);
    expect(done.code).not.toBe(0);
  });

  test("builds as a client", async () => {
    const done = await remote(header(tokens.client));
    expect(done.stderr).toMatch(/\d+ remote\./);
    expect(done.code).toBe(0);
  });

  test("does not build remotely as a reader", async () => {
    await bazel("clean");
    const done = await remote(header(tokens.reader));
    expect(done.stderr).toMatch(/[Rr]emote execution.*not (supported|enabled)/);
    expect(done.code).not.toBe(0);
  });

  test("takes from the cache as a reader, and adds nothing to it", async () => {
    const only = "--define=only=cache";
    await bazel("clean");
    expect((await cached(header(tokens.writer), only)).code).toBe(0);

    await bazel("clean");
    const refused = await cached(header(tokens.reader), only);
    expect(refused.stderr).toMatch(/not authorized to write local results/);
    const quiet = "--noremote_upload_local_results";
    const hit = await cached(header(tokens.reader), only, quiet);
    expect(hit.stderr).toMatch(/\d+ remote cache hit/);
    expect(hit.stderr).not.toMatch(/processes: .*(sandbox|local)/);

    appendFileSync(bazel.file("hello/words.txt"), "changed\n");
    for (const _ of ["built here", "and again, since nobody has stored it"]) {
      await bazel("clean");
      const built = await cached(header(tokens.reader), only, quiet);
      expect(built.stderr).toMatch(/remote cache hit.* 1 [\w-]*(sandbox|local)/);
      expect(built.code).toBe(0);
    }
  });
});

describe("bldr over TLS with a token", () => {
  const node = useNode(() => [...tls(), "--token-file", tokenFile]);
  const at = () => `grpcs://localhost:${node.port()}`;
  const build = (token: string | undefined, ...flags: string[]) => {
    const example = place.example("remote-execution");
    appendFileSync(join(example, "src/main.cpp"), `// ${Math.random()}\n`);
    const args = ["build", "cpp_project", `--remote=${at()}`, "--tls-ca", authority.path];
    const env = token === undefined ? {} : { BUILDER_TOKEN: token };
    return run(place, example, "bldr", [...args, ...flags], env);
  };

  test("builds as a client, told by the environment or a file", async () => {
    const done = await build(tokens.client);
    expect(done.stderr).toBe("");
    expect(done.stdout).toMatch(/Executing on worker-1/);
    const own = join(place.folder, "own-token");
    writeFileSync(own, `# for the desk\n${tokens.client}\n`, { mode: 0o600 });
    const told = await build(tokens.reader, "--token-file", own);
    expect(told.stderr).toBe("");
    expect(told.code).toBe(0);
  });

  test.each([
    ["no token", undefined, /A caller without a token may not call/],
    ["an unknown one", "unknown-token-0123456789", /The token is not known here/],
    ["one that only reads", tokens.reader, /"the reader" \(reader\) may not call/],
  ])("says why %s does not do", async (_, token, reason) => {
    const done = await build(token);
    expect(done.stdout + done.stderr).toMatch(reason);
    expect(done.stdout).not.toMatch(/Build completed/);
    expect(done.code).not.toBe(0);
  });

  test("shows the node's figures to who may read", async () => {
    const status = (env: NodeJS.ProcessEnv) => {
      const args = ["remote", "status", "--coordinator", at(), "--tls-ca", authority.path];
      return run(place, place.folder, "builder", args, env);
    };
    expect((await status({ BUILDER_TOKEN: tokens.reader })).stdout).toMatch(/Service: Running/);
    const refused = await status({});
    expect(refused.stderr).toMatch(/A caller without a token may not call/);
    expect(refused.code).toBe(3);
  });
});

describe("bldr with a client certificate", () => {
  const node = useNode(() => [...tls(), "--tls-client-ca", authority.path]);
  const build = (...flags: string[]) => {
    const remote = `--remote=grpcs://localhost:${node.port()}`;
    const example = place.example("remote-execution");
    appendFileSync(join(example, "src/main.cpp"), `// ${Math.random()}\n`);
    const args = ["build", "cpp_project", remote, "--tls-ca", authority.path];
    return run(place, example, "bldr", [...args, ...flags]);
  };

  test("builds with one of the right authority", async () => {
    const laptop = await authority.issue("laptop");
    const done = await build("--tls-cert", laptop.cert, "--tls-key", laptop.key);
    expect(done.stderr).toBe("");
    expect(done.stdout).toMatch(/Executing on worker-1/);
  });

  test("is told that one is missing, or is a stranger's", async () => {
    const none = await build();
    expect(none.stdout + none.stderr).toMatch(/certificate|does it speak TLS/);
    expect(none.code).not.toBe(0);
    const eve = await (await createTestAuthority(place.folder, "stranger")).issue("eve");
    const stranger = await build("--tls-cert", eve.cert, "--tls-key", eve.key);
    expect(stranger.stdout + stranger.stderr).toMatch(/certificate/);
    expect(stranger.code).not.toBe(0);
  });
});

test("a token in the environment does not keep --remote=local from building", async () => {
  const env = { BUILDER_TOKEN: "for-another-node-0123456789" };
  const example = place.example("remote-execution");
  const done = await run(place, example, "bldr", ["build", "cpp_project", "--remote=local"], env);
  expect(done.stderr).toBe("");
  expect(done.code).toBe(0);
});

test("flags for a node are refused where there is none to reach", async () => {
  const example = place.example("remote-execution");
  for (const flags of [
    ["--tls-ca", authority.path],
    ["--remote=local", "--token-file", tokenFile],
  ]) {
    const done = await run(place, example, "bldr", ["build", "cpp_project", ...flags]);
    expect(done.stderr).toMatch(/add --remote=HOST:PORT/);
    expect(done.code).toBe(2);
  }
});
