import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nextChange } from "../../src/build/watch.ts";
import { type Look, lookAt } from "../../src/workspace/look.ts";

const times = { quietMs: 20, pollMs: 20, watchFolder: watch };
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "watch-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** Waits for a change of these paths, all of which look as they do now. */
function waiting(paths: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
  const lookByPath = new Map<string, Look>(paths.map((path) => [path, lookAt(join(root, path))]));
  const never = new AbortController().signal;
  const onPolling = (why: string) => {
    throw new Error(`polling: ${why}`);
  };
  return nextChange({ root, lookByPath, signal: signal ?? never, onPolling }, times);
}

test("an edit, a replaced file, a new file and a removed folder are all seen", async () => {
  write("a/x", "1");
  const edited = waiting(["a/x", "a"]);
  write("a/x", "22");
  expect(await edited).toBe("a/x");
  const replaced = waiting(["a/x"]);
  write("a/x.new", "3");
  renameSync(join(root, "a/x.new"), join(root, "a/x"));
  expect(await replaced).toBe("a/x");
  const added = waiting(["a/x", "a"]);
  write("a/y", "");
  expect(await added).toBe("a");
  const removed = waiting(["a/x", "a"]);
  rmSync(join(root, "a"), { recursive: true });
  expect(await removed).toBe("a/x");
});

test("what is not there yet is seen when it comes, in a new folder too", async () => {
  const coming = waiting(["b/z", "b", ""]);
  write("b/z", "1");
  expect(await coming).toBe("b/z");
});

test("a change from before the waiting began is seen at once", async () => {
  write("x", "1");
  const lookByPath = new Map([["x", "another look"]]);
  const { signal } = new AbortController();
  expect(await nextChange({ root, lookByPath, signal, onPolling: () => {} }, times)).toBe("x");
});

test("other files in a watched folder wake nobody up, and the signal ends the waiting", async () => {
  write("x", "1");
  const abort = new AbortController();
  const ended = waiting(["x"], abort.signal);
  for (let i = 0; i < 50; i += 1) write(`other${i}`, "");
  abort.abort();
  expect(await ended).toBe(undefined);
  expect(await waiting(["x"], abort.signal)).toBe(undefined);
});

test("a thousand folders are watched", async () => {
  const paths = Array.from({ length: 1000 }, (_, at) => `f${at}/x`);
  for (const path of paths) write(path, "");
  const changed = waiting(paths);
  utimesSync(join(root, "f432/x"), 1, 1);
  expect(await changed).toBe("f432/x");
});

test("where the system cannot watch, files are looked at again and again, and that is told", async () => {
  write("x", "1");
  const told: string[] = [];
  const watchFolder = (): never => {
    throw Object.assign(new Error("no watchers are left"), { code: "ENOSPC" });
  };
  const lookByPath = new Map([["x", lookAt(join(root, "x"))]]);
  const { signal } = new AbortController();
  const watched = { root, lookByPath, signal, onPolling: (why: string) => told.push(why) };
  const changed = nextChange(watched, { ...times, watchFolder });
  write("x", "22");
  expect(await changed).toBe("x");
  expect(told).toEqual(["no watchers are left"]);
});
