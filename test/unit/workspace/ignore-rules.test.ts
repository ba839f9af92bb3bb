import { expect, test } from "vitest";
import { ignoredBy, parseIgnoreRules } from "../../../src/workspace/ignore-rules.ts";

function ignored(text: string, path: string, isFolder = false): boolean {
  return ignoredBy(parseIgnoreRules(text), path, isFolder) ?? false;
}

test("a name without a slash is ignored at any depth, a path only where it says", () => {
  expect(ignored("*.o", "a/b/c.o")).toBe(true);
  expect(ignored("/x.c", "a/x.c")).toBe(false);
  expect(ignored("/x.c", "x.c")).toBe(true);
  expect(ignored("a/x.c", "b/a/x.c")).toBe(false);
  expect(ignored("a/**/x.c", "a/x.c")).toBe(true);
  expect(ignored("a/**/x.c", "a/b/c/x.c")).toBe(true);
  expect(ignored("**/a/x.c", "b/a/x.c")).toBe(true);
  expect(ignored("a/**", "a", true)).toBe(false);
  expect(ignored("a/*", "a/b/c")).toBe(false);
});

test("the last line that covers a path decides, and a slash at the end is for folders", () => {
  expect(ignored("*.c\n!keep.c", "keep.c")).toBe(false);
  expect(ignored("!keep.c\n*.c", "keep.c")).toBe(true);
  expect(ignored("gen/", "gen")).toBe(false);
  expect(ignored("gen/", "a/gen", true)).toBe(true);
});

test("comments, blank lines, escapes and blanks at the end mean what they do in git", () => {
  expect(ignored("# x\n\n\\#x\r\n", "#x")).toBe(true);
  expect(ignored("\\!x", "!x")).toBe(true);
  expect(ignored("x   ", "x")).toBe(true);
  expect(ignored("x\\ ", "x ")).toBe(true);
  expect(ignored("\\*", "a")).toBe(false);
  expect(ignored("x\\", "x")).toBe(false);
});

test("classes of characters know ranges, names and negation", () => {
  expect(ignored("[a-c]x", "bx")).toBe(true);
  expect(ignored("[!a-c]x", "bx")).toBe(false);
  expect(ignored("[]a]x", "]x")).toBe(true);
  expect(ignored("[[:digit:]_]x", "7x")).toBe(true);
  expect(ignored("[[:nothing:]]", "n")).toBe(false);
  expect(ignored("[a", "[a")).toBe(false);
  expect(ignored("?.c", "é.c")).toBe(true);
});

test("a line made to be slow is answered like any other", () => {
  expect(ignored("*a".repeat(200), "a".repeat(5000))).toBe(true);
  expect(ignored(`${"*a".repeat(200)}b`, "a".repeat(5000))).toBe(false);
  expect(ignored(`${"**/a/".repeat(50)}b`, "a/".repeat(500).slice(0, -1))).toBe(false);
});
