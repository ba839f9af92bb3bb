import fc from "fast-check";
import { expect, test } from "vitest";
import { createBuildOutput } from "../../../cli/build-output.ts";
import { createTerminalBlock } from "../../../cli/terminal-block.ts";
import { screenOf } from "../../support/terminal.ts";

/** A terminal that remembers what it was sent. */
function terminal(columns: number) {
  const sent = { bytes: "" };
  return {
    write: (text: string) => {
      // As the kernel does for a terminal.
      sent.bytes += text.replaceAll("\n", "\r\n");
    },
    size: () => ({ columns, rows: 24 }),
    screen: () => screenOf(sent.bytes, columns),
    sent,
  };
}

test("a block is drawn over itself, below all that was printed", () => {
  const there = terminal(40);
  const block = createTerminalBlock(there);
  const line = fc.string({ unit: fc.constantFrom(..."ab "), maxLength: 39 });
  const step = fc.oneof(
    fc.record({ draw: fc.array(line, { maxLength: 6 }) }),
    fc.record({ print: line }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      block.clear();
      there.sent.bytes = "";
      const printed: string[] = [];
      let drawn: readonly string[] = [];
      for (const one of steps) {
        if ("draw" in one) {
          block.draw(one.draw);
          drawn = one.draw;
        } else {
          block.clear();
          there.write(`${one.print}\n`);
          printed.push(one.print);
          drawn = [];
        }
      }
      expect(there.screen()).toEqual([...printed, ...drawn, ""]);
    }),
  );
});

test("a terminal made narrower has wrapped the block, and all of it is drawn over", () => {
  const size = { columns: 40, rows: 24 };
  let bytes = "";
  const block = createTerminalBlock({ write: (text) => (bytes += text), size: () => size });
  block.draw(["a".repeat(39), "b"]);
  size.columns = 20;
  block.clear();
  // Two rows for the first line, one for the second.
  expect(bytes.endsWith("\x1b[3A\r\x1b[J")).toBe(true);
});

test("the block goes to a terminal and never to a pipe", () => {
  const opened = (stdout: boolean, stderr: boolean, env: Record<string, string> = {}) => {
    const said = { stdout: "", stderr: "" };
    let tick = () => {};
    const output = createBuildOutput({
      stdout: { write: (text) => (said.stdout += text), isTTY: stdout, columns: 80, rows: 24 },
      stderr: { write: (text) => (said.stderr += text), isTTY: stderr, columns: 80, rows: 24 },
      ...{ env, color: "auto", plain: false, now: () => 0 },
      repeat: (draw) => {
        tick = draw;
        return () => {};
      },
    });
    const shown = output.show();
    shown.take({ kind: "planned", total: 3, kinds: {} });
    tick();
    shown.stop();
    return { stdout: said.stdout !== "", stderr: said.stderr !== "" };
  };
  expect(opened(true, true)).toEqual({ stdout: false, stderr: true });
  expect(opened(true, false)).toEqual({ stdout: true, stderr: false });
  expect(opened(false, true)).toEqual({ stdout: false, stderr: true });
  expect(opened(false, false)).toEqual({ stdout: false, stderr: false });
  expect(opened(true, true, { TERM: "dumb" })).toEqual({ stdout: false, stderr: false });
});
