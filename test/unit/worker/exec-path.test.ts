import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findInside, normalizeExecPath } from "../../../src/worker/exec-path.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "exec-path-"));
  mkdirSync(join(root, "real"));
  writeFileSync(join(root, "real/file"), "x");
  symlinkSync("/etc", join(root, "planted"));
});
afterAll(() => rmSync(root, { recursive: true }));

test("dots and doubled slashes vanish", () => {
  expect(normalizeExecPath("./a//b/.", "path")).toBe("a/b");
  expect(normalizeExecPath("a/../b", "path")).toBe("b");
  expect(normalizeExecPath(".", "path")).toBe("");
});

test("paths that leave the exec root are refused with the field's name", () => {
  for (const path of ["..", "a/../..", "/etc/passwd", "a\0b"]) {
    expect(() => normalizeExecPath(path, "output_paths")).toThrow(/output_paths/);
  }
});

test("no normalised path ever holds a climbing, empty or absolute part", () => {
  const part = fc.constantFrom("..", ".", "", "a", "b c", "…");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const path = parts.join("/");
      try {
        const normal = normalizeExecPath(path, "path");
        expect(normal === "" || normal.split("/").every((p) => !["", ".", ".."].includes(p))).toBe(
          true,
        );
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
    }),
  );
});

test("a planted symlink is no way to the host's files", async () => {
  expect(await findInside(root, "planted/passwd")).toBeUndefined();
  expect(await findInside(root, "planted")).toBe(join(root, "planted"));
  expect(await findInside(root, "real/file")).toBe(join(root, "real/file"));
  expect(await findInside(root, "real/absent")).toBeUndefined();
});
