// Compilers that stay, in real sandboxes: a small one that speaks the protocol and breaks it.

import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { actionHostId } from "../../src/sandbox/choose-sandbox.ts";
import { LinuxSandbox } from "../../src/sandbox/linux-sandbox.ts";
import { findSandboxProgram } from "../../src/sandbox/sandbox-program.ts";
import { fromWireReport } from "../../src/wire/execution-report.ts";
import type { Platform_Property } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  createPersistentWorkers,
  type PersistentOptions,
} from "../../src/worker/persistent-workers.ts";
import { WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();
const compiler = readFileSync(new URL("slow-compiler.py", import.meta.url));
const hasPython = existsSync("/usr/bin/python3");

function keep(options: Partial<PersistentOptions> = {}, sandbox = worker.sandbox): void {
  worker.persistentWorkers = createPersistentWorkers(
    { store: worker.store.blobs, sandbox, scratch: worker.pool },
    { processesMax: 2, idleMs: 60_000, idleBytesMax: 1 << 30, ...options },
  );
}

beforeEach(() => keep());

afterEach(async () => {
  await worker.persistentWorkers?.close();
  // Nothing of any process is left, whatever it did.
  worker.expectEmptyFolders();
  worker.persistentWorkers = undefined;
});

interface Asked {
  readonly text?: string;
  readonly words?: readonly string[];
  readonly flags?: string;
  readonly properties?: readonly Platform_Property[];
  readonly tool?: string;
  readonly workingDirectory?: string;
  readonly timeoutSeconds?: number;
  readonly user?: string;
  readonly signal?: AbortSignal;
  readonly outputs?: readonly string[];
}

const asking = [{ name: "persistentWorkerKey", value: "k" }];

async function compile(deed: string, asked: Asked = {}) {
  const put = (text: string | Uint8Array) => worker.put(Buffer.from(text));
  const isTool = { properties: [{ name: "bazel_tool_input", value: "" }] };
  const { user, signal } = asked;
  const options = { ...(user && { user }), ...(signal && { signal }) };
  const response = await worker.run(
    {
      root: {
        files: [
          {
            name: "compiler.py",
            digest: await put(`${compiler}${asked.tool ?? ""}`),
            nodeProperties: isTool,
          },
          { name: "flags", digest: await put(asked.flags ?? `${deed}\nsource\nout/target\n`) },
          { name: "source", digest: await put(asked.text ?? "text") },
        ],
      },
      command: {
        arguments: ["/usr/bin/python3", "compiler.py", ...(asked.words ?? ["@flags"])],
        outputPaths: [...(asked.outputs ?? ["out/target"])],
        workingDirectory: asked.workingDirectory ?? "",
        platform: { properties: [...(asked.properties ?? asking)] },
      },
      action: { timeout: { seconds: asked.timeoutSeconds ?? 50, nanos: 0 } },
    },
    options,
  );
  const { result } = response;
  const [output] = result?.outputFiles ?? [];
  const report = fromWireReport(result?.executionMetadata?.auxiliaryMetadata ?? []);
  const said = result === undefined ? "" : await worker.text(result.stderrDigest);
  return {
    ...{ response, result, report, said },
    exitCode: result?.exitCode,
    isPersistent: report?.persistentWorker === true,
    process: / in (\d+) /.exec(said)?.[1],
    target: output && (await worker.text(output.digest)),
    digest: output?.digest,
  };
}

const patience = 120_000;

describe.skipIf(!hasPython)("a compiler that stays", () => {
  test(
    "does one action after another, each with its own inputs",
    async () => {
      const first = await compile("do", { text: "one" });
      const second = await compile("do", { text: "two" });
      expect(first).toMatchObject({ exitCode: 0, target: "ONE", isPersistent: true });
      expect(second).toMatchObject({ exitCode: 0, target: "TWO", isPersistent: true });
      expect(first.said).toMatch(/^request 1 in/);
      expect(second.said).toMatch(/^request 2 in \d+ sees out,source\n$/);
      expect(second.report?.memoryPeakBytes).toBeGreaterThan(1 << 20);
      expect(await worker.text(second.result?.stdoutDigest)).toBe("");
    },
    patience,
  );

  test(
    "is spoken to in JSON where the action says so",
    async () => {
      const properties = [...asking, { name: "builder.worker_protocol", value: "json" }];
      const given = { properties, words: ["--json", "@flags"] };
      await compile("do", given);
      const second = await compile("do", { ...given, text: "zwei" });
      expect(second).toMatchObject({ target: "ZWEI", isPersistent: true });
      expect(second.said).toMatch(/^request 2/);
      const odd = [...asking, { name: "builder.worker_protocol", value: "xml" }];
      const refused = await compile("do", { properties: odd });
      expect(refused.response.status?.message).toMatch(/"proto" or "json", not "xml"/);
    },
    patience,
  );

  test(
    "is as good where no cgroup counts",
    async () => {
      const program = await findSandboxProgram({ stateFolder: worker.folder, arch: process.arch });
      const hostId = process.geteuid?.() === 0 ? actionHostId : 0;
      keep({}, new LinuxSandbox({ program, hostId, cgroups: [] }));
      await compile("do", { text: "a" });
      const second = await compile("litter", { text: "b" });
      expect(second).toMatchObject({ target: "B", isPersistent: true });
      expect(second.said).toMatch(/^request 2/);
      expect((await compile("do", { text: "c" })).said).toMatch(/^request 3/);
    },
    patience,
  );

  test(
    "may fail an action, and goes on",
    async () => {
      const failed = await compile("fail");
      expect(failed).toMatchObject({ exitCode: 3, said: "no such thing\n", isPersistent: true });
      expect((await compile("do")).said).toMatch(/^request 2/);
    },
    patience,
  );

  test(
    "is another one for another key, user, tool, or limits",
    async () => {
      keep({ processesMax: 8 });
      const cases: Asked[] = [
        {},
        { properties: [{ name: "persistentWorkerKey", value: "other" }] },
        { user: "another" },
        { tool: "\n# changed" },
        { properties: [...asking, { name: "builder.max_processes", value: "50" }] },
      ];
      for (const [at, asked] of cases.entries()) {
        const first = await compile("do", { ...asked, text: `a${at}` });
        expect(first, `case ${at}`).toMatchObject({ isPersistent: true });
        expect(first.said, `case ${at}`).toMatch(/^request 1/);
      }
      expect((await compile("do", { text: "again" })).said).toMatch(/^request 2/);
    },
    patience,
  );

  test(
    "makes room for another, the one that waited longest first",
    async () => {
      const of = (value: string, text: string) =>
        compile("do", { text, properties: [{ name: "persistentWorkerKey", value }] });
      for (const key of ["a", "b", "c"]) expect((await of(key, "x")).isPersistent).toBe(true);
      expect((await of("c", "y")).said).toMatch(/^request 2/);
      expect((await of("a", "y")).said).toMatch(/^request 1/);
    },
    patience,
  );

  test(
    "is not kept where it holds more memory than all may",
    async () => {
      keep({ idleBytesMax: 1000 });
      for (const text of ["a", "b"]) {
        const done = await compile("do", { text });
        expect(done).toMatchObject({ isPersistent: true });
        expect(done.said).toMatch(/^request 1/);
      }
    },
    patience,
  );

  test(
    "ends when nobody asks for it",
    async () => {
      keep({ idleMs: 1 });
      await compile("do", { text: "a" });
      await expect
        .poll(() => worker.expectEmptyFolders(), { timeout: 30_000, interval: 50 })
        .toBeUndefined();
      expect((await compile("do", { text: "b" })).said).toMatch(/^request 1/);
    },
    patience,
  );
});

describe.skipIf(!hasPython)("an action is run plainly", () => {
  test(
    "without the property, a flag file or room",
    async () => {
      const cases: Asked[] = [
        { properties: [] },
        { properties: [{ name: "persistentWorkerKey", value: "" }] },
        { words: ["do", "source", "out/target"] },
      ];
      for (const [at, asked] of cases.entries()) {
        const done = await compile("do", asked);
        expect(done, `case ${at}`).toMatchObject({ target: "TEXT", isPersistent: false });
        expect(done.said).toMatch(/^plain request 1/);
      }
      keep({ processesMax: 0 });
      expect(await compile("do")).toMatchObject({ target: "TEXT", isPersistent: false });
    },
    patience,
  );

  test(
    "where it asks for none, with the same report as ever",
    async () => {
      const { report } = await compile("do", { properties: [] });
      expect(report).not.toHaveProperty("persistentWorker");
    },
    patience,
  );

  test.each(["die", "garbage", "noise", "other", "huge", "twice"])(
    "where its worker answers by: %s",
    async (deed) => {
      const done = await compile(deed);
      expect(done).toMatchObject({ exitCode: 0, target: "TEXT", isPersistent: false });
      expect(done.said).toMatch(/^plain request 1/);
      // The next one starts anew.
      expect((await compile("do")).said).toMatch(/^request 1/);
    },
    patience,
  );

  test(
    "where an output cannot be copied, and judged there",
    async () => {
      const { response, isPersistent } = await compile("fifo");
      expect(isPersistent).toBe(false);
      expect(response.status?.message).toMatch(/Output "out\/target"/);
    },
    patience,
  );
});

describe.skipIf(!hasPython)("whatever a worker does", () => {
  test(
    "the action's time holds, and the worker ends",
    async () => {
      const { response, isPersistent } = await compile("silent", { timeoutSeconds: 2 });
      expect(response.status).toMatchObject({ code: 4, message: "execution timeout exceeded" });
      expect(isPersistent).toBe(true);
      expect((await compile("do")).said).toMatch(/^request 1/);
    },
    patience,
  );

  test(
    "a cancelled action ends it",
    async () => {
      const cancelled = AbortSignal.timeout(500);
      const outcome = await compile("silent", { signal: cancelled }).catch((error: Error) => error);
      expect(String(outcome)).toMatch(/cancelled/);
      expect((await compile("do")).said).toMatch(/^request 1/);
    },
    patience,
  );

  test(
    "memory has its limit, over all its requests",
    async () => {
      const few = [...asking, { name: "builder.max_memory", value: String(200 << 20) }];
      const done = await compile("hog", { properties: few });
      expect(done).toMatchObject({ exitCode: 137, isPersistent: false });
      expect(done.response.message).toMatch(/memory limit/);
    },
    patience,
  );

  test(
    "what it left is gone for the next, and no output",
    async () => {
      await compile("litter");
      const next = await compile("do", { text: "next", outputs: ["out/target", "left", "pipe"] });
      expect(next.said).toMatch(/^request 2 in \d+ sees out,source\n$/);
      expect(next.result?.outputDirectories).toEqual([]);
    },
    patience,
  );

  test(
    "inputs and tools are as they were for the next",
    async () => {
      const spoilt = await compile("spoil", { text: "good" });
      expect(spoilt).toMatchObject({ exitCode: 0, isPersistent: true });
      const next = await compile("do", { text: "good" });
      expect(next).toMatchObject({ target: "GOOD", isPersistent: true });
      const plain = await compile("do", { text: "good", properties: [] });
      expect(plain).toMatchObject({ target: "GOOD", isPersistent: false });
    },
    patience,
  );

  test(
    "an output that it holds open is not changed in the store",
    async () => {
      const held = await compile("hold", { text: "kept" });
      const changed = await compile("change", { text: "other" });
      expect(changed.said).toMatch(/^request 2/);
      expect(await worker.text(held.digest)).toBe("KEPT");
    },
    patience,
  );

  test(
    "a child that wakes it stops neither us nor the action",
    async () => {
      const done = await compile("orphan");
      expect(done).toMatchObject({ exitCode: 0, target: "TEXT" });
      // Stopped for certain, or ended: either will do, but nothing in between.
      expect((await compile("do", { text: "more" })).target).toBe("MORE");
    },
    patience,
  );
});
