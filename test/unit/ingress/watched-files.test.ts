import { mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { watchFiles } from "../../../src/ingress/watched-files.ts";

let folder: string;
let path: string;
let now: number;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "watched-"));
  path = join(folder, "file");
  now = 1_000_000;
  said = [];
  put("one");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A new file under the old name with the same length and time, as some copying programs do. */
function put(text: string): void {
  writeFileSync(`${path}.new`, text);
  utimesSync(`${path}.new`, 1, 1);
  renameSync(`${path}.new`, path);
}

function watch() {
  const read = () => {
    const text = readFileSync(path, "utf8");
    if (text === "bad") throw new Error("it is bad");
    return text;
  };
  return watchFiles(
    { now: () => now, log: (level, message) => said.push(`${level} ${message}`) },
    { paths: [path], name: "words", lookEveryMs: 1000, read },
  );
}

test("a change counts once it is time to look, even with the same size and time", () => {
  const watched = watch();
  put("two");
  now += 999;
  expect(watched.latest()).toBe("one");
  now += 1;
  expect(watched.latest()).toBe("two");
  expect(said).toEqual(["info The words have changed and were read again."]);
});

test("a clock that was set back does not stop the looking", () => {
  const watched = watch();
  put("two");
  now -= 3_600_000;
  expect(watched.latest()).toBe("two");
});

test("what makes no sense or is gone is said once, and what was in force stays", () => {
  const watched = watch();
  put("bad");
  for (let look = 0; look < 3; look += 1) {
    now += 1000;
    expect(watched.latest()).toBe("one");
  }
  expect(said).toEqual([expect.stringMatching(/^warn .*earlier ones stay in force: it is bad/)]);
  rmSync(path);
  now += 1000;
  expect(watched.latest()).toBe("one");
  expect(said).toHaveLength(2);
  put("two");
  now += 1000;
  expect(watched.latest()).toBe("two");
});

test("at the start there is nothing to fall back on", () => {
  put("bad");
  expect(watch).toThrow("it is bad");
});
