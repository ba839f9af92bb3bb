import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  follow,
  newProgress,
  type Progress,
  progressLines,
  timeLeftMs,
} from "../../../cli/progress.ts";
import { cutMiddle, oneLine, textWidth } from "../../../cli/text-width.ts";
import type { BuildEvent } from "../../../src/build/build-event.ts";

type ActionEvent = Extract<BuildEvent, { kind: "action" }>;

const size = { columns: 60, rows: 10 };

function planned(total: number, expectedMs?: number): BuildEvent {
  return { kind: "planned", total, kinds: { Custom: { count: total, expectedMs } } };
}

function started(id: string): BuildEvent {
  return {
    kind: "started",
    id,
    target: "//:t",
    mnemonic: "Custom",
    argv: [],
    workingDirectory: "",
  };
}

function ended(id: string, changes: Partial<ActionEvent> = {}): BuildEvent {
  return {
    ...{ kind: "action", id, target: "//:t", mnemonic: "Custom", how: "ran", exitCode: 0 },
    ...{ worker: "local", isolation: "none", ms: 5, storedAtMs: 0, stdout: "", stderr: "" },
    ...{ failure: "", attempt: 1, again: false },
    ...changes,
  };
}

function progressOf(...events: (readonly [number, BuildEvent])[]): Progress {
  const progress = newProgress(0);
  for (const [atMs, event] of events) follow(progress, event, atMs);
  return progress;
}

describe("the lines", () => {
  test("nothing is shown before the work is known", () => {
    expect(progressLines(newProgress(0), 5000, size)).toEqual([]);
  });

  test("they count what ended and what was known, and list what runs by age", () => {
    const progress = progressOf(
      [0, planned(5)],
      [0, ended("a", { how: "kept" })],
      [100, started("//:t one")],
      [600, started("//:t two")],
      [700, started("b")],
      [800, ended("b", { exitCode: 1 })],
    );
    expect(progressLines(progress, 900, size)).toEqual([
      "[2/5] 1 hit, 1 failed, 2 running",
      "  800ms //:t one",
      "  300ms //:t two",
    ]);
  });

  test("what the terminal has no room for is counted", () => {
    const events = Array.from({ length: 30 }, (_, at) => [at, started(`//:t ${at}`)] as const);
    const lines = progressLines(progressOf([0, planned(30)], ...events), 100, size);
    expect(lines).toHaveLength(8);
    expect(lines.at(1)).toBe("  100ms //:t 0");
    expect(lines.at(-1)).toBe("        and 24 more");
  });

  test("a failed attempt of a test does not count, the last one does", () => {
    const progress = progressOf(
      [0, planned(1)],
      [1, started("t")],
      [2, ended("t", { again: true })],
    );
    expect([progress.done.size, progress.failed, progress.running.size]).toEqual([0, 0, 0]);
    follow(progress, started("t"), 3);
    follow(progress, ended("t", { attempt: 2 }), 4);
    expect([progress.done.size, progress.failed, progress.hits]).toEqual([1, 0, 0]);
  });

  test("an action that is made again counts once", () => {
    const progress = progressOf([0, planned(2)], [1, ended("a")], [2, ended("a")]);
    expect(progressLines(progress, 10, size)).toEqual(["[1/2] 0 hits, 0 running"]);
  });

  test("whatever is in names and however small the terminal, every line fits and is plain", () => {
    const names = fc.array(fc.string({ unit: "binary", maxLength: 200 }), { maxLength: 40 });
    const sizes = fc.record({ columns: fc.integer({ min: 1, max: 90 }), rows: fc.nat(30) });
    fc.assert(
      fc.property(names, sizes, (ids, small) => {
        const progress = progressOf([0, planned(50, 10)], [0, ended("x")]);
        for (const id of ids) follow(progress, started(id), 10);
        const lines = progressLines(progress, 5000, small);
        expect(lines.length).toBeLessThanOrEqual(Math.max(1, small.rows - 2));
        for (const line of lines) {
          expect(textWidth(line)).toBeLessThanOrEqual(Math.max(1, small.columns - 1));
          expect(line).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
        }
      }),
    );
  });
});

describe("the time left", () => {
  test("it is not guessed in the first second, nor before anything ended", () => {
    expect(timeLeftMs(progressOf([0, planned(4, 100)], [10, ended("a")]), 900)).toBeUndefined();
    expect(timeLeftMs(progressOf([0, planned(4, 100)], [10, started("a")]), 9000)).toBeUndefined();
  });

  test("what is left goes as fast as what is done went", () => {
    const progress = progressOf([0, planned(4, 3000)], [2000, ended("a")]);
    // 3 s of work in 2 s, 9 s of work to go.
    expect(timeLeftMs(progress, 2000)).toBe(6000);
  });

  test("what runs counts for the part that it has had", () => {
    const progress = progressOf([0, planned(2, 4000)], [4000, ended("a")], [4000, started("b")]);
    expect(timeLeftMs(progress, 4000)).toBe(4000);
    expect(timeLeftMs(progress, 6000)).toBe(2000);
    expect(timeLeftMs(progress, 9000)).toBe(0);
    expect(progressLines(progress, 5000, size)[0]).toBe("[1/2] 0 hits, 1 running, about 3s left");
  });

  test("kinds count by their own durations", () => {
    const kinds = {
      Custom: { count: 2, expectedMs: 100 },
      CppLink: { count: 1, expectedMs: 5000 },
    };
    const progress = progressOf([0, { kind: "planned", total: 3, kinds }]);
    follow(progress, ended("a"), 500);
    follow(progress, ended("b"), 1000);
    expect(timeLeftMs(progress, 1000)).toBe(25_000);
  });
});

describe("text on a terminal", () => {
  test("wide characters take two columns, marks none", () => {
    expect(["abc", "語", "한글", "e\u0301", "🚀", "Ａ"].map(textWidth)).toEqual([3, 2, 4, 1, 2, 2]);
  });

  test("what could draw elsewhere or hide is spelled out", () => {
    expect(oneLine("a\x1b[2Jb\nc\td\u202ee\u200bf")).toBe(
      "a\\x1b[2Jb\\x0ac\\td\\u{202e}e\\u{200b}f",
    );
  });

  test("the middle goes first", () => {
    expect(cutMiddle("src/a/long/path/main.cpp", 11)).toBe("src/a…n.cpp");
    expect(cutMiddle("語語語語", 5)).toBe("語…語");
    expect([cutMiddle("abc", 3), cutMiddle("abc", 1), cutMiddle("abc", 0)]).toEqual([
      "abc",
      "…",
      "",
    ]);
  });

  test("a cut text fits, and keeps both ends where it has room", () => {
    const texts = fc.string({ unit: "grapheme", maxLength: 60 }).map(oneLine);
    fc.assert(
      fc.property(texts, fc.nat(50), (text, columns) => {
        const cut = cutMiddle(text, columns);
        expect(textWidth(cut)).toBeLessThanOrEqual(columns);
        if (textWidth(text) <= columns) expect(cut).toBe(text);
      }),
    );
  });
});
