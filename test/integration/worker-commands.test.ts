import { expect, test } from "vitest";
import { fromTimestamp } from "../../src/wire/reapi.ts";
import { type Given, WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();

async function ended(given: Given) {
  const { result, message, status } = await worker.run(given);
  const stdout = result && (await worker.text(result.stdoutDigest));
  const stderr = result && (await worker.text(result.stderrDigest));
  return { code: status?.code, exitCode: result?.exitCode, message, stdout, stderr, status };
}

const tool = async (text: string) => worker.put(Buffer.from(text));

test("a program with a slash is relative to the working directory", async () => {
  const digest = await tool("#!/bin/sh\necho here $1\n");
  const w = await worker.putDirectory({ files: [{ name: "t", digest, isExecutable: true }] });
  const root = { directories: [{ name: "w", digest: w }] };
  const command = { arguments: ["./t", "x"], workingDirectory: "w" };
  expect(await ended({ root, command })).toMatchObject({ exitCode: 0, stdout: "here x\n" });
  const above = { arguments: ["../w/t", "y"], workingDirectory: "w" };
  expect(await ended({ root, command: above })).toMatchObject({ exitCode: 0, stdout: "here y\n" });
});

test("a bare program is looked up in the Command's PATH, and without one where systems look", async () => {
  const digest = await tool("#!/bin/sh\necho mine\n");
  const root = { files: [{ name: "ls", digest, isExecutable: true }] };
  const environmentVariables = [{ name: "PATH", value: "/nowhere:/work" }];
  const mine = { arguments: ["ls"], environmentVariables };
  expect(await ended({ root, command: mine })).toMatchObject({ exitCode: 0, stdout: "mine\n" });
  const theirs = { arguments: ["ls"] };
  expect(await ended({ root, command: theirs })).toMatchObject({ exitCode: 0, stdout: "ls\n" });
});

test.each([
  ["bare", ["no-such-program"], 127, /^builder: no-such-program: not found\n$/],
  ["path", ["./none"], 127, /^builder: \.\/none: not found\n$/],
  ["plain", ["./plain"], 126, /^builder: \.\/plain: Permission denied\n$/],
  ["folder", ["/etc"], 126, /Permission denied/],
  ["other machine", ["./elf"], 126, /Exec format|cannot execute|not executable|syntax|not found/i],
])("a program that cannot be run is a result that says so: %s", async (_, args, code, words) => {
  const plain = await tool("text");
  const elf = Buffer.alloc(64);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  elf.writeUInt16LE(0xf3, 18);
  const root = {
    files: [
      { name: "elf", digest: await worker.put(elf), isExecutable: true },
      { name: "plain", digest: plain },
    ],
  };
  const found = await ended({ root, command: { arguments: args } });
  expect(found.code).toBeUndefined();
  expect([126, 127]).toContain(found.exitCode);
  if (code === 127) expect(found.exitCode).toBe(127);
  expect(found.stderr).toMatch(words);
});

test("one argument too long for the kernel is a result; too long a Command is refused", async () => {
  const long = { arguments: ["/bin/true", "x".repeat(1 << 20)] };
  const found = await ended({ command: long });
  expect(found).toMatchObject({ exitCode: 126, stderr: expect.stringMatching(/list too long/i) });
  const words = Array.from({ length: 10_000 }, () => "y".repeat(1000));
  const many = await ended({ command: { arguments: ["/bin/true", ...words] } });
  expect(many.code).toBe(3);
  const { status } = await worker.run(
    { command: { arguments: ["/bin/true", ...words] } },
    { messageBytesMax: 1 << 20 },
  );
  expect(status).toMatchObject({ code: 3, message: expect.stringMatching(/at most 1048576/) });
});

test("a time-out keeps what was made so far", async () => {
  const { result, status } = await worker.run({
    script: "echo made > f; mkfifo p; echo begun; sleep 30",
    command: { outputPaths: ["f", "p"] },
    action: { timeout: { seconds: 0, nanos: 300_000_000 } },
  });
  expect(status).toMatchObject({ code: 4, message: "execution timeout exceeded" });
  expect(result?.outputFiles.map(({ path }) => path)).toEqual(["f"]);
  expect(await worker.text(result?.stdoutDigest)).toBe("begun\n");
});

test("a death by signal is 128 and its number, and said", async () => {
  const found = await ended({ command: { arguments: ["/bin/sh", "-c", "kill -SEGV $$"] } });
  expect(found).toMatchObject({ exitCode: 139, message: expect.stringMatching(/SIGSEGV/) });
});

test("a full disk is a fault of this worker, before and after; nothing is cached", async () => {
  const full = { diskFreeBytesMin: Number.MAX_SAFE_INTEGER };
  const outcome = await worker.execute({ script: "exit 1" }, full);
  expect(outcome).toMatchObject({ kind: "fault", failure: { code: "RESOURCE_EXHAUSTED" } });
});

test("times never run backwards, whatever the clock does", async () => {
  let clockMs = 1_700_000_000_000;
  const now = () => {
    clockMs -= 1000;
    return clockMs;
  };
  const { result } = await worker.run({}, { now });
  const found = result!.executionMetadata!;
  const times = [
    found.queuedTimestamp,
    found.workerStartTimestamp,
    found.inputFetchStartTimestamp,
    found.inputFetchCompletedTimestamp,
    found.executionStartTimestamp,
    found.executionCompletedTimestamp,
    found.outputUploadStartTimestamp,
    found.outputUploadCompletedTimestamp,
    found.workerCompletedTimestamp,
  ].map((time) => fromTimestamp(time) ?? Number.NaN);
  for (const [at, time] of times.entries()) expect(time).toBeGreaterThanOrEqual(times[at - 1] ?? 0);
});

test("text that is not UTF-8 is refused, U+FFFD itself is text", async () => {
  const fine = await ended({ script: "echo \ufffd" });
  expect(fine).toMatchObject({ exitCode: 0, stdout: "\ufffd\n" });
  const bytes = Buffer.from("\x0a\x09/bin/echo\x0a\x01x", "latin1");
  bytes[bytes.length - 1] = 0xe9;
  const commandDigest = await worker.put(bytes);
  const found = await ended({ action: { commandDigest } });
  expect(found.status).toMatchObject({ code: 3, message: expect.stringMatching(/not UTF-8/) });
});
