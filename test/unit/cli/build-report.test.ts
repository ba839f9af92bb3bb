import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BuildReportOptions, createBuildReport } from "../../../cli/build-report.ts";
import { usesColor } from "../../../cli/color.ts";
import type { BuildEvent } from "../../../src/build/build-event.ts";
import { shellLine } from "../../../src/rules/shell-line.ts";

type ActionEvent = Extract<BuildEvent, { kind: "action" }>;

const counts = { ran: 0, cached: 0, kept: 0, failed: 0, skipped: 0, flaky: 0 };

function action(changes: Partial<ActionEvent> = {}): BuildEvent {
  return {
    ...{ kind: "action", id: "//:app CppCompile a b.cpp", target: "//:app", how: "ran" },
    ...{ mnemonic: "CppCompile", exitCode: 0, worker: "worker-1", ms: 1200, storedAtMs: 0 },
    ...{ isolation: "namespaces+cgroup", stdout: "", stderr: "", failure: "" },
    ...{ attempt: 1, again: false },
    ...changes,
  };
}

const started: BuildEvent = {
  ...{ kind: "started", id: "//:app CppCompile a b.cpp", target: "//:app" },
  ...{ mnemonic: "CppCompile", argv: ["c++", "-c", "a b.cpp"], workingDirectory: "" },
};

/** Standard output, and standard error marked by `!`. */
function said(events: readonly BuildEvent[], changes: Partial<BuildReportOptions> = {}): string[] {
  const lines: string[] = [];
  const report = createBuildReport({
    write: (text) => lines.push(text),
    warn: (text) => text !== "" && lines.push(`!${text}`),
    ...{ json: false, verbose: false, color: { write: false, warn: false }, remote: undefined },
    ...{ startedAtMs: 0, now: () => 1200, isInterrupted: () => false },
    ...changes,
  });
  report.begin();
  for (const event of events) report.emit(event);
  return lines;
}

describe("lines", () => {
  test("a remote build reads as the handbook prints it, byte for byte", () => {
    const events: BuildEvent[] = [
      { kind: "planned", total: 1, kinds: {} },
      started,
      { kind: "uploaded", bytes: 234_000 },
      action(),
      { kind: "finished", ok: true, ms: 1200, ...counts, ran: 1 },
    ];
    expect(said(events, { remote: "0.0.0.0:9000" }).join("")).toBe(
      "[INFO] Using remote execution (coordinator: 0.0.0.0:9000)\n" +
        "[INFO] Uploading inputs... (234 KB)\n" +
        "[INFO] Executing on worker-1 (hermetic: namespaces+cgroup)\n" +
        "[INFO] Build completed in 1.2s\n" +
        "[INFO] Cache miss → stored for reuse\n",
    );
    const hit: BuildEvent = {
      ...{ kind: "target", label: "//:cpp_project", ok: true, cached: true },
      ...{ storedAtMs: -120_000, outputs: [] },
    };
    expect(said([hit])).toEqual(["[INFO] Cache hit: cpp_project (stored 2m ago)\n"]);
  });

  test("a failure is shown at once, with what it said and how to look inside", () => {
    expect(said([started, action({ exitCode: 1, stderr: "oops", worker: "" })])).toEqual([
      "!oops\n",
      "![ERROR] //:app CppCompile a b.cpp failed: exit code 1\n",
      "![INFO] Look inside: bldr shell //:app --action 'CppCompile a b.cpp'\n",
    ]);
  });

  test("a verbose build says what each action used, where that was measured", () => {
    const usage = { userCpuMs: 900, systemCpuMs: 200, memoryPeakBytes: 210e6 };
    const lines = said([action({ usage })], { verbose: true });
    expect(lines.at(-1)).toContain("(on worker-1, 1.2s, CPU 1.1s, memory 210 MB)");
    const unknown = { userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 };
    expect(said([action({ usage: unknown })], { verbose: true }).at(-1)).toContain("1, 1.2s)");
  });

  test("the words of a verbose build can be typed into a shell", () => {
    expect(said([started, action({ worker: "local" })], { verbose: true }).slice(1)).toEqual([
      "[INFO] //:app CppCompile a b.cpp (on local, 1.2s)\n",
      "  c++ -c 'a b.cpp'\n",
    ]);
  });

  test("tests tell their shard, their attempt and whether they were cached", () => {
    const run = { id: "//:t TestRun", target: "//:t", mnemonic: "TestRun", worker: "" } as const;
    const lines = said([
      action({ ...run, how: "kept" }),
      action({ ...run, id: "//:t TestRun shard 2/3" }),
      action({ ...run, exitCode: 1, again: true }),
      action({ ...run, attempt: 2 }),
    ]);
    expect(lines).toEqual([
      "[INFO] PASSED //:t (cached)\n",
      "[INFO] PASSED //:t shard 2/3 (1.2s)\n",
      "[INFO] FAILED //:t (1.2s, trying again)\n",
      "![ERROR] //:t TestRun failed: exit code 1\n",
      "[INFO] FLAKY //:t (passed at attempt 2, 1.2s)\n",
    ]);
  });

  test("an interrupted build says so", () => {
    const event: BuildEvent = { kind: "finished", ok: false, ms: 1, ...counts, skipped: 4 };
    expect(said([event], { isInterrupted: () => true })).toEqual([
      "![ERROR] Build interrupted after 1.2s\n",
    ]);
  });

  test("names cannot draw on the terminal", () => {
    const lines = said([action({ id: "//:app \x1b[2J", exitCode: 1, worker: "" })]);
    expect(lines).toEqual(["![ERROR] //:app \\x1b[2J failed: exit code 1\n"]);
  });

  test("with JSON every event is a line as it is", () => {
    const events = [started, action()];
    expect(said(events, { json: true, remote: "x" }).map((line) => JSON.parse(line))).toEqual(
      events,
    );
  });
});

describe("colour", () => {
  test.each([
    ["auto", {}, true, true],
    ["auto", {}, false, false],
    ["auto", { TERM: "dumb" }, true, false],
    ["auto", { NO_COLOR: "1" }, true, false],
    ["auto", { NO_COLOR: "" }, true, true],
    ["auto", { FORCE_COLOR: "1" }, false, true],
    ["auto", { FORCE_COLOR: "0" }, true, false],
    ["auto", { FORCE_COLOR: "1", NO_COLOR: "1" }, false, false],
    ["always", { NO_COLOR: "1" }, false, true],
    ["never", { FORCE_COLOR: "1" }, true, false],
  ] as const)("--color=%s with %o on a terminal (%s) means %s", (choice, env, tty, used) => {
    expect(usesColor(choice, env, tty)).toBe(used);
  });

  test("each stream has its own", () => {
    const events = [action({ exitCode: 1, worker: "w" })];
    expect(said(events, { color: { write: false, warn: true } })).toEqual([
      "[INFO] Executing on w (hermetic: namespaces+cgroup)\n",
      "!\x1b[31m[ERROR]\x1b[0m //:app CppCompile a b.cpp failed: exit code 1\n",
    ]);
  });
});

test("a shell reads a line as the words it was made of", () => {
  const word = fc.string({ unit: fc.constantFrom(..."ab '\"$`\\\n*~!;|&<>()#-=/") });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const script = `printf '%s\\0' ${shellLine(words)}`;
      const read = execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" });
      expect(read.split("\0").slice(0, -1)).toEqual(words);
    }),
    { numRuns: 50 },
  );
});
