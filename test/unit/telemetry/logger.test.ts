import { expect, test } from "vitest";
import { describeNote } from "../../../src/telemetry/describe-note.ts";
import { createLog } from "../../../src/telemetry/logger.ts";

function written(format: "pretty" | "json", say: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  const now = () => Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  say(createLog((line) => lines.push(line), "info", { format, node: "desk", now }));
  return lines.join("");
}

test("people read the level and a sentence", () => {
  expect(written("pretty", (log) => log("warn", "Something is odd"))).toBe(
    "[WARN] Something is odd\n",
  );
});

test("programs read one object a line: time, level, who, what", () => {
  const line = written("json", (log) => log("info", 'It said "hello"\nand went'));
  expect(line.endsWith("\n") && line.indexOf("\n") === line.length - 1).toBe(true);
  expect(JSON.parse(line)).toEqual({
    ...{ time: "2026-01-02T03:04:05.006Z", level: "info", node: "desk" },
    message: 'It said "hello"\nand went',
  });
});

test("an event of the core comes with its name and fields, its token as in the sentence", () => {
  const token = { ingress: "peer", seq: 7, hop: 1 };
  const why = "its worker is gone";
  const note = { name: "action-retried", token, worker: "w", why } as const;
  const { level, text } = describeNote(note);
  expect(JSON.parse(written("json", (log) => log(level, text, note)))).toMatchObject({
    ...{ event: "action-retried", token: "peer/7/1", why: "its worker is gone", message: text },
  });
});

test("less urgent lines than wanted are not written", () => {
  expect(written("json", (log) => log("debug", "a step"))).toBe("");
});

test("control characters reach a terminal in neither format", () => {
  for (const format of ["pretty", "json"] as const) {
    const line = written(format, (log) => log("info", "a\u001b[2Jb\u009b2Jc\u0007d\u007f"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
    expect(line.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  }
});
