// The sandbox program itself: shipped, copied, compiled, and rebuilt to the same bytes.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { findSandboxProgram } from "../../src/sandbox/sandbox-program.ts";
import { decodeAnswer, encodeSpec } from "../../src/sandbox/sandbox-protocol.ts";

const native = new URL("../../native", import.meta.url).pathname;
const shipped = join(native, "prebuilt/linux-x64/builder-sandbox");
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "builder-program-"));
  folders.push(folder);
  return folder;
}

/** A program that hears nothing says nothing and ends well. */
function runs(program: string): boolean {
  const options = { stdio: Array<"ignore">(4).fill("ignore"), timeout: 10_000 };
  return spawnSync(program, options).status === 0;
}

test("the shipped program is used in place", async () => {
  const stateFolder = newFolder();
  expect(await findSandboxProgram({ stateFolder, arch: "x64" })).toBe(shipped);
  expect(readdirSync(stateFolder)).toEqual([]);
});

test("a shipped program that lost its executable bit is copied once", async () => {
  const [stateFolder, nativeFolder] = [newFolder(), newFolder()];
  cpSync(native, nativeFolder, { recursive: true });
  chmodSync(join(nativeFolder, "prebuilt/linux-x64/builder-sandbox"), 0o644);
  const find = () => findSandboxProgram({ stateFolder, arch: "x64", nativeFolder });
  const program = await find();
  expect(readFileSync(program).equals(readFileSync(shipped))).toBe(true);
  accessSync(program, constants.X_OK);
  expect(await find()).toBe(program);
  expect(readdirSync(stateFolder)).toHaveLength(1);
});

test("where nothing is shipped the sources are compiled once", async (context) => {
  if (spawnSync("cc", ["--version"]).status !== 0) context.skip("this machine has no C compiler");
  const stateFolder = join(newFolder(), "made on first use");
  const program = await findSandboxProgram({ stateFolder, arch: "other" });
  expect(runs(program)).toBe(true);
  const again = { stateFolder, arch: "other", compiler: "/does/not/exist" };
  expect(await findSandboxProgram(again)).toBe(program);
});

test("without a compiler the refusal says what to install", async () => {
  const options = { stateFolder: newFolder(), arch: "other", compiler: "/does/not/exist" };
  await expect(findSandboxProgram(options)).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    message: expect.stringMatching(/Install a C compiler .*--sandbox=none/),
  });
});

test("a cancel that comes in one piece with the specification is heard", async () => {
  const scratch = newFolder();
  const spec = encodeSpec(
    {
      ...{ scratch, execRoot: scratch, workingDirectory: "", argv: ["/bin/sleep", "1000"] },
      ...{ env: {}, stdoutPath: join(scratch, "out"), stderrPath: join(scratch, "err") },
      network: false,
      limits: {
        ...{ wallMs: 2_000_000, memoryBytes: 1 << 28, cpus: 1, pids: 8, openFiles: 64 },
        ...{ fileBytes: 1 << 20, logBytes: 1 << 20, outputBytes: 1 << 20, outputFiles: 10 },
        ...{ tmpBytes: 1 << 20, tmpFiles: 10 },
      },
    },
    { cgroups: [], hostId: 0 },
  );
  const child = spawn(shipped, { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const control = child.stdio[3];
  if (!(control instanceof Duplex)) throw new Error("no control socket");
  control.write(Buffer.concat([spec, Buffer.from("c")]));
  let answer = "";
  for await (const chunk of control) answer += chunk;
  expect(decodeAnswer(answer)).toMatchObject({ cancelled: true, exitCode: 137 });
});

test("the shipped program is made from these sources", () => {
  const sources = execFileSync("sh", ["-c", "cat ./*.c ./*.h build.sh | sha256sum"], {
    cwd: native,
    env: { ...process.env, LC_ALL: "C" },
  });
  expect(readFileSync(`${shipped}.made-with`, "utf8")).toContain(
    `sources ${sources.toString().split(" ")[0]}\n`,
  );
});

test("the same tools rebuild the shipped program byte for byte", (context) => {
  if (spawnSync("musl-gcc", ["--version"]).status !== 0) {
    context.skip("this machine has no musl-gcc (Debian: apt install musl-tools)");
  }
  const rebuilt = join(newFolder(), "builder-sandbox");
  execFileSync(join(native, "build.sh"), ["sandbox", rebuilt]);
  const tools = (path: string) => readFileSync(`${path}.made-with`, "utf8");
  if (tools(rebuilt) !== tools(shipped)) {
    context.skip(`the tools differ: ${tools(rebuilt)} built here, ${tools(shipped)} shipped`);
  }
  expect(readFileSync(rebuilt).equals(readFileSync(shipped))).toBe(true);
});
