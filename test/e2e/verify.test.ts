// `bldr verify` on builds that are wrong in each of the ways it knows, and on such as are right.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DifferingAction } from "../../src/node/verify-build.ts";
import { createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const hasPython = spawnSync("/usr/bin/python3", ["--version"]).status === 0;
const isRoot = process.getuid?.() === 0;
const canDrop = isRoot && spawnSync("setpriv", ["--version"]).status === 0;

function command(name: string, text: string, outputs: string, more = ""): string {
  return `target ${name}:\n    command: ${text}\n    outputs: [${outputs}]\n${more}`;
}

async function verify(files: Readonly<Record<string, string>>) {
  const folder = place.workspace(files);
  const ended = await run(place, folder, "bldr", ["verify", "--json"]);
  const lines = ended.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const end = lines.pop();
  const byTarget = new Map<string, DifferingAction>(
    lines.map((line: DifferingAction) => [line.id.split(" ")[0] ?? "", line]),
  );
  return { ...ended, folder, end, byTarget };
}

test("every cause is found, by itself, and nothing else", async () => {
  const files = {
    Builderfile: [
      command("good", "sort list > good.txt", "good.txt", "    inputs: [list]\n"),
      command("uuid", "cat /proc/sys/kernel/random/uuid > uuid.txt", "uuid.txt"),
      command("order", "ls -f data > order.txt", "order.txt", "    inputs: [data/*]\n"),
      command("cores", "nproc > cores.txt", "cores.txt"),
      command("pids", "echo $$ > pids.txt", "pids.txt"),
      command("path", "pwd > path.txt", "path.txt"),
      command("clock", "date > clock.txt", "clock.txt"),
      command("zip", "echo x > member; gzip -k member", "member.gz"),
      command("archive", "echo x > one; ar rcU one.a one; rm one", "one.a"),
      command("linked", "mkdir d; echo x > d/f; ln -s $(nproc) d/link", "d"),
      command("touched", "echo x > t; touch -d @1700000000 t; gzip -k t; rm t", "t.gz"),
      ...(hasPython
        ? [command("seeded", `python3 -c "print({'a','b','c','d','e','f','g'})" > s.txt`, "s.txt")]
        : []),
    ].join(""),
    list: "b\na\n",
    "data/a": "",
    "data/b": "",
    "data/c": "",
  };
  const { code, byTarget, end, folder } = await verify(files);
  const varied = Object.fromEntries([...byTarget].map(([name, found]) => [name, found.varied]));
  expect(varied).toEqual({
    ...{ "//:uuid": ["chance"], "//:order": ["order"], "//:cores": ["cores"], "//:pids": ["pids"] },
    ...{ "//:path": ["path"], "//:clock": ["time"], "//:zip": ["time"], "//:archive": ["time"] },
    ...{ "//:linked": ["cores"] },
    ...(hasPython ? { "//:seeded": ["chance"] } : {}),
  });
  const first = (name: string) => byTarget.get(name)?.outputs[0];
  expect(first("//:uuid")?.cause.text).toBe("a UUID");
  expect(first("//:zip")).toMatchObject({ path: "member.gz", difference: { offset: 4 } });
  expect(first("//:zip")?.cause.remedy).toContain("gzip -n");
  expect(first("//:archive")?.cause.remedy).toContain("ar rcsD");
  expect(first("//:linked")?.how).toMatch(/^a link to \d+, then a link to 1$/);
  expect(first("//:path")?.difference?.dumps[1]?.join("")).toContain("|/work/another/pl|");
  expect(code).toBe(1);
  expect(end).toMatchObject({ kind: "verification", ok: false, failed: 0, skipped: 0 });
  expect(existsSync(join(folder, "good.txt"))).toBe(false);
});

const compiled = (name: string, more = "") =>
  `target ${name}:\n    type: library\n    sources: [${name}.c]\n    flags: -g\n${more}`;

test("compilers: the date and the folder, and the lines that mend both", async () => {
  const dated = "const char *when(void) { return __DATE__ __TIME__; }\n";
  const forgetful = "unset SOURCE_DATE_EPOCH; cc -c dated.c -o dated.o";
  const files = {
    Builderfile:
      compiled("plain") +
      compiled("mended", "    env:\n        PWD: /proc/self/cwd\n") +
      command("dated", forgetful, "dated.o", "    inputs: [dated.c]\n"),
    "plain.c": "int one(void) { return 1; }\n",
    "dated.c": dated,
    "mended.c": dated,
  };
  const { byTarget, end } = await verify(files);
  expect([...byTarget.keys()].sort()).toEqual(["//:dated", "//:plain"]);
  expect(byTarget.get("//:plain")?.varied).toEqual(["path"]);
  expect(byTarget.get("//:plain")?.outputs[0]?.cause.remedy).toContain("PWD: /proc/self/cwd");
  expect(byTarget.get("//:dated")?.varied).toEqual(["time"]);
  expect(byTarget.get("//:dated")?.outputs[0]?.cause.remedy).toContain("SOURCE_DATE_EPOCH");
  expect(end).toMatchObject({ actions: 5 });
});

test("an action that fails when varied is told with its cause; one that fails anyway as failed", async () => {
  const { byTarget, end, code } = await verify({
    Builderfile:
      command("two", "test $(nproc) -gt 1; echo > two.txt", "two.txt") +
      command("never", "exit 4", "never.txt"),
  });
  expect({ code, end }).toMatchObject({ code: 1, end: { failed: expect.any(Number) } });
  const found = byTarget.get("//:two");
  // On a machine with a single core it fails from the start.
  if (found !== undefined) expect(found.outputs[0]?.how).toBe("it fails then: exit code 1");
  expect(byTarget.has("//:never")).toBe(false);
});

test("what is right is said to be so, in words", async () => {
  const folder = place.example("remote-execution");
  const ended = await run(place, folder, "bldr", ["verify", "cpp_project"]);
  expect(ended).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/came out the same twice/),
  });
  const wrong = await run(place, folder, "bldr", ["verify", "--sandbox=none"]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("needs the sandbox") });
});

test.skipIf(!canDrop)(
  "an ordinary user verifies, too (tried as one where we are root)",
  async () => {
    const folder = place.workspace({ Builderfile: command("cores", "date > d.txt", "d.txt") });
    const store = join(place.folder, "own-cache");
    mkdirSync(store, { recursive: true });
    await run(place, folder, "chmod", ["-R", "a+rwX", place.folder]);
    const who = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    const words = [...who, join(root, "cli/bin/bldr"), "verify"];
    const ended = await run(place, folder, "setpriv", words, { XDG_CACHE_HOME: store });
    expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("at another time") });
  },
);
