import { describe, expect, test } from "vitest";
import { readTreeMessage } from "../../src/cas/merkle.ts";
import { fromWireReport } from "../../src/wire/execution-report.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp, fromWireDigest } from "../../src/wire/reapi.ts";
import { type Given, WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();
const run = (given: Given) => worker.run(given);
const text = (digest: reapi.Digest | undefined) => worker.text(digest);
const put = (bytes: Uint8Array) => worker.put(bytes);

describe("outputs", () => {
  test("of every form are collected, missing ones left out, parents made", async () => {
    const { result } = await run({
      script:
        "echo f > a/b/file; chmod +x a/b/file; mkdir -p d/e; echo x > d/e/f; ln -s e d/l; ln -s gone link",
      command: { outputPaths: ["a/b/file", "d", "link", "never"] },
    });
    expect(result?.outputFiles).toMatchObject([{ path: "a/b/file", isExecutable: true }]);
    expect(result?.outputSymlinks).toMatchObject([{ path: "link", target: "gone" }]);
    expect(result?.outputDirectories.map(({ path }) => path)).toEqual(["d"]);
    const tree = fromWireDigest(result?.outputDirectories[0]?.treeDigest, "sha256", "t");
    const entries = await readTreeMessage(await worker.store.blobs.get(tree, 1 << 20), "sha256");
    expect(entries.map(({ kind, path }) => `${kind} ${path}`).sort()).toEqual([
      "directory e",
      "file e/f",
      "symlink l",
    ]);
  });

  test("as the oldest clients name them work too", async () => {
    const { result } = await run({
      script: "echo 1 > x/f; mkdir out; echo 2 > out/g",
      command: { outputFiles: ["x/f"], outputDirectories: ["out"] },
    });
    expect(result?.outputFiles).toHaveLength(1);
    expect(result?.outputDirectories).toHaveLength(1);
  });

  test("of the wrong kind are the action's fault, by name", async () => {
    const { status } = await run({ script: "mkdir f", command: { outputFiles: ["f"] } });
    expect(status).toMatchObject({
      code: 9,
      message: expect.stringMatching(/Output "f" is a directory and was declared as a file/),
    });
  });

  test("never lead out of the exec root, whatever the action plants", async () => {
    const { result } = await run({
      script: "rmdir out; ln -s /etc out; ln -s /etc/passwd file",
      command: { outputPaths: ["out/passwd", "file"] },
    });
    expect(result?.outputFiles).toEqual([]);
    expect(result?.outputSymlinks).toMatchObject([{ path: "file", target: "/etc/passwd" }]);
    for (const path of ["../x", "/etc/passwd", "a/../../b", "a\0b"]) {
      const { status } = await run({ command: { outputPaths: [path] } });
      expect(status?.code, path).toBe(3);
    }
  });
});

describe("inputs", () => {
  test("appear with their bits and links, and changing them changes no blob", async () => {
    const digest = await put(Buffer.from("#!/bin/sh\necho from input\n"));
    const root = {
      files: [
        { name: "plain", digest },
        { name: "tool", digest, isExecutable: true },
      ],
      symlinks: [{ name: "link", target: "tool" }],
    };
    const script =
      "./link && test ! -x plain && (echo evil > tool; chmod +w tool && echo evil > tool)";
    const { result } = await run({ script, root });
    expect(await text(result?.stdoutDigest)).toContain("from input");
    expect(await text(digest)).toContain("from input");
  });

  test("that are missing are all named; trees with tricks are refused by path", async () => {
    const lost = { hash: "7".repeat(64), sizeBytes: 7 };
    const missing = await run({ root: { files: [{ name: "a", digest: lost }] } });
    expect(missing.status).toMatchObject({ code: 9 });
    expect(missing.status?.details).toHaveLength(1);
    for (const name of ["..", "a/b", "", "/x"]) {
      const { status } = await run({ root: { files: [{ name, digest: lost }] } });
      expect(status?.code, name).toBe(3);
    }
  });
});

test("commands: bare names through PATH, exact environment, working directory", async () => {
  const { result } = await run({
    command: {
      arguments: ["sh", "-c", "pwd; env | sort"],
      environmentVariables: [{ name: "PATH", value: "/bin:/usr/bin" }],
      workingDirectory: "w/d",
    },
    root: {},
  });
  const lines = (await text(result?.stdoutDigest))
    .split("\n")
    .filter((l) => !/^(_|SHLVL|OLDPWD)=/.test(l));
  expect(lines).toEqual(["/work/w/d", "PATH=/bin:/usr/bin", "PWD=/work/w/d", ""]);
});

test("a failing command is a result, honest about when, where and how", async () => {
  const before = Date.now();
  const { result, status } = await run({ script: "echo why >&2; exit 7" });
  expect(status).toBeUndefined();
  expect(result?.exitCode).toBe(7);
  expect(await text(result?.stderrDigest)).toBe("why\n");
  const metadata = result?.executionMetadata;
  expect(metadata?.worker).toBe("w");
  const times = [
    metadata?.workerStartTimestamp,
    metadata?.executionStartTimestamp,
    metadata?.executionCompletedTimestamp,
    metadata?.workerCompletedTimestamp,
  ].map(fromTimestamp);
  expect([...times].sort()).toEqual(times);
  expect(times[0]).toBeGreaterThanOrEqual(before);
  const report = fromWireReport(metadata!.auxiliaryMetadata);
  expect(report?.isolation).toMatch(/^namespaces/);
});

test("a time-out is DEADLINE_EXCEEDED in exactly the words siso compares, with the output so far", async () => {
  const { result, status } = await run({
    script: "echo begun; sleep 30",
    action: { timeout: { seconds: 0, nanos: 300_000_000 } },
  });
  expect(status).toMatchObject({ code: 4, message: "execution timeout exceeded" });
  expect(await text(result?.stdoutDigest)).toBe("begun\n");
});

test("bad limits are refused by name", async () => {
  const properties = [{ name: "builder.max_memory", value: "lots" }];
  const { status } = await run({ action: { platform: { properties } } });
  expect(status?.message).toMatch(/builder\.max_memory/);
});

test("an action that asks for more than this worker gives is refused, and told", async () => {
  const properties = [{ name: "builder.max_memory", value: String(4 * 2 ** 30) }];
  const refused = await run({ action: { platform: { properties } } });
  expect(refused.status).toMatchObject({ code: 3 });
  expect(refused.status?.message).toMatch(/max_memory 4 GiB.*at most 2 GiB \(--action-limits\)/);
  const timeout = { seconds: 7200, nanos: 0 };
  expect((await run({ action: { timeout } })).status?.message).toMatch(/timeout 7200000 ms/);
});

test("what was exceeded is said in the result, with what was used", async () => {
  const properties = [{ name: "builder.max_memory", value: String(32 << 20) }];
  const script = "head -c 200m /dev/zero | tail > /dev/null";
  const { result, message } = await run({ script, action: { platform: { properties } } });
  expect(result?.exitCode).toBe(137);
  expect(message).toMatch(
    /^Killed: memory limit 32 MiB, peak \d+\.\d MiB\. Raise hermetic\.max_mem/,
  );
  const report = fromWireReport(result!.executionMetadata!.auxiliaryMetadata);
  expect(report).toMatchObject({ limit: "memory" });
  expect(report?.io?.waits).toBeGreaterThan(0);
});

test("outputs that are too large together are none, and are not cached", async () => {
  const properties = [{ name: "builder.max_output", value: "10000" }];
  const script = "mkdir d; head -c 6000 /dev/zero > d/a; head -c 6000 /dev/zero > b";
  const command = { outputPaths: ["d", "b"] };
  const { result, message } = await run({ script, command, action: { platform: { properties } } });
  expect(result?.exitCode).toBe(137);
  expect(message).toMatch(/^Killed: output limit 9\.8 KiB\./);
});

test("what ran while the system's tools changed is a fault of the worker, and not kept", async () => {
  let asked = 0;
  const toolsChanged = () => {
    asked += 1;
    return asked === 1;
  };
  const given = { script: "echo made > out", command: { outputPaths: ["out"] } };
  const first = await worker.execute(given, { toolsChanged });
  expect(first).toMatchObject({ kind: "fault", failure: { code: "UNAVAILABLE" } });
  expect(await worker.execute(given, { toolsChanged })).toMatchObject({ exitCode: 0 });
  expect(asked).toBe(2);
});

test("only successes are cached, and nothing that asked not to be", async () => {
  const cached = async (given: Given, salt: string) => {
    await run({ ...given, action: { ...given.action, salt: Buffer.from(salt) } });
    const command = { arguments: ["/bin/sh", "-c", given.script ?? "true"], ...given.command };
    const action = reapi.Action.fromPartial({
      commandDigest: await put(reapi.Command.encode(reapi.Command.fromPartial(command)).finish()),
      inputRootDigest: await put(new Uint8Array()),
      ...given.action,
      salt: Buffer.from(salt),
    });
    const digest = await worker.store.blobs.put(reapi.Action.encode(action).finish(), "sha256");
    return (await worker.store.actions.get({ instance: "", action: digest })) !== undefined;
  };
  expect(await cached({}, "1")).toBe(true);
  expect(await cached({ script: "exit 1" }, "2")).toBe(false);
  expect(await cached({ action: { doNotCache: true } }, "3")).toBe(false);
});

test("an action that locks its own folders away is cleaned up all the same", async () => {
  const { result } = await run({ script: "mkdir -p a/b; touch a/b/c; chmod 000 a/b a" });
  expect(result?.exitCode).toBe(0);
});
