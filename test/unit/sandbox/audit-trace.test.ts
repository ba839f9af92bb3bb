import { expect, test } from "vitest";
import { decodeTrace } from "../../../src/sandbox/audit-trace.ts";

const encode = (...parts: string[]) => Buffer.from(parts.map((part) => `${part}\0`).join(""));

test("a trace is read as it was written", () => {
  const trace = decodeTrace(
    encode(
      ...["p 0 /x/builder-audit", "trace", "p 1 /usr/bin/dash", "/bin/sh\x1fgen.sh\x1f-x"],
      ...["p 2 /usr/bin/python3.11", "python3\x1f-c\x1fpass", "f 102 3 1 /ws/a b\nc.h"],
      ...["f 418 1 2 /ws/d", "n 0 1 2 connect [::1]:80", "n 0 2 0 bind unix /tmp/s"],
      ...["h 0 1 1 mount", "end"],
    ),
  );
  const file = { uncopied: false, isFolder: false };
  expect(trace).toEqual({
    files: [
      {
        ...file,
        ...{ path: "/ws/a b\nc.h", ops: new Set(["read"]), undeclared: true, count: 3 },
        program: "sh gen.sh",
      },
      {
        ...{ ...file, isFolder: true, path: "/ws/d", undeclared: false, count: 1 },
        ...{ ops: new Set(["written", "created"]), program: "python3" },
      },
    ],
    addresses: [
      { verb: "connect", address: "[::1]:80", count: 1, program: "python3" },
      { verb: "bind", address: "unix /tmp/s", count: 2, program: "the command" },
    ],
    blind: [{ call: "mount", count: 1, program: "sh gen.sh" }],
    isWhole: true,
  });
  expect(decodeTrace(encode("o 0 1 0 more", "end")).isWhole).toBe(false);
});

test("what is cut off or is no trace is refused", () => {
  expect(() => decodeTrace(encode("f 2 1 0 /x"))).toThrow(/no end/);
  expect(() => decodeTrace(new Uint8Array())).toThrow(/no end/);
  expect(() => decodeTrace(encode("nonsense", "end"))).toThrow(/nonsense/);
});
