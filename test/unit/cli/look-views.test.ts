import { expect, test } from "vitest";
import { buildProfileLines } from "../../../cli/render-build.ts";
import {
  actionLines,
  logLines,
  silentLine,
  topLines,
  whyLines,
} from "../../../cli/render-figures.ts";
import { tableLines, wrapped } from "../../../cli/text-table.ts";
import { textWidth } from "../../../cli/text-width.ts";
import { awayLines, sparkline, watchFigures, watchLines } from "../../../cli/watch-view.ts";
import { profileOfParts } from "../../../src/node/build-profile.ts";
import type { ActionList, MeshFigures } from "../../../src/node/insight-client.ts";
import { BuildPart } from "../../../src/wire/gen/builder/node/v1/insight.ts";

type Host = MeshFigures["hosts"][number];
type Worker = Host["workers"][number];
type Line = ActionList["actions"][number];

const times = (p50Ms: number) => ({ p50Ms, p95Ms: 2 * p50Ms });
const worker = (name: string, of: Partial<Worker> = {}): Worker => ({
  ...{ peer: name, name, home: "desk", slots: 2, free: 0, queued: 1, draining: false },
  ...{ ended: 30, stolen: 0, lost: 0, fetch: times(0), setUp: times(3), run: times(850) },
  store: times(5),
  ...of,
});
const host = (name: string, of: Partial<Host> = {}): Host => ({
  ...{ peer: name, name, silent: false, pending: 12, executing: 6, ended: 234, failed: 1 },
  ...{ lagMs: 4, loadPercent: 300, cores: 4, waits: [], troubles: [], links: [], beats: [] },
  workers: [worker(`${name}/worker-1`, { home: name })],
  ...of,
});
const line = (of: Partial<Line> = {}): Line => ({
  ...{ action: "sha256:0123456789abcdef/12", kind: "//:app CppCompile", user: "ann" },
  ...{ invocation: "i", priority: 0, state: "running", worker: "worker-1", host: "desk" },
  ...{ ageMs: 4200, stateMs: 2000, waitMs: 10, runMs: 2000, attempts: 1, stolen: false },
  ...{ exitCode: undefined, failure: "", operation: "operations/1" },
  ...of,
});
const beats = Array.from({ length: 120 }, (_, at) => ({
  ...{ ended: at % 4 === 0 ? 3 : 0, lookups: 4, hits: 1, queued: at, running: 2 },
}));
const mesh: MeshFigures = {
  hosts: [
    host("desk", {
      beats,
      links: [{ peer: "laptop", name: "laptop", rttMs: 312, rttWorstMs: 900, asked: 16, late: 3 }],
    }),
    host("laptop", { pending: 0 }),
    host("away", { silent: true, pending: 0, workers: [] }),
  ],
  troubles: ["The link to laptop takes 312ms there and back: a bad line."],
};
/** What no terminal may get raw: escapes, controls, changes of direction. */
const hostile = "\u001b[2J\u009b31m\u0007\r\n\t\u202e<script>";
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

test("top shows every host and worker within 80 columns, and what looks wrong", () => {
  const lines = topLines(mesh, 80);
  for (const one of lines) expect(textWidth(one), one).toBeLessThanOrEqual(80);
  const screen = lines.join("\n");
  expect(screen).toMatch(/^desk \(asked\) +12 +6 +234 +1 +75% +4ms +-$/m);
  expect(screen).toMatch(/^laptop .* 312ms 3\/16 late$/m);
  expect(screen).toMatch(/^away +silent$/m);
  expect(screen).toMatch(/^desk\/worker-1 +2\/2 +1 +30 +0ms +3ms +850ms +5ms +0 +-$/m);
  expect(screen).toContain(
    "Look at:\n  The link to laptop takes 312ms there and back: a bad line.",
  );
  expect(topLines(mesh, 120).join("\n")).toContain("850ms/1.7s");
});

test("a worker that several hosts know is shown once, as its own host knows it", () => {
  const shared = worker("desk/worker-1", { home: "desk", free: 2, ended: 500, run: times(10) });
  const both = {
    ...mesh,
    hosts: [host("desk"), host("laptop", { workers: [shared] })],
  };
  const rows = topLines(both, 120).filter((one) => one.startsWith("desk/worker-1"));
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatch(/2\/2 +1 +500 .* 10ms\/20ms/);
});

test("actions are one line each, with their reason where they failed", () => {
  const failed = line({ state: "failed", exitCode: 2, runMs: 90, stolen: true, attempts: 2 });
  const refused = line({ state: "failed", worker: "", failure: "No worker has gpu=yes." });
  const list = { actions: [line(), failed, refused], total: 10, silent: ["laptop"] };
  const lines = actionLines(list, 120);
  expect(lines[1]).toMatch(
    /^ ?4\.2s +running +2\.0s +worker-1 +0123456789ab +\/\/:app CppCompile$/,
  );
  expect(lines[2]).toMatch(/failed \(2\) stolen try 2 +90ms/);
  expect(lines[3]).toMatch(/ - +0123456789ab +\/\/:app CppCompile: No worker has gpu=yes\.$/);
  expect(lines.slice(4)).toEqual(["and 7 more (--limit, --skip, --json)", "Silent: laptop"]);
  expect(actionLines({ actions: [], total: 0, silent: [] }, 80)).toEqual(["No such actions."]);
});

test("watch is the handbook's box, with curves where there is room for them", () => {
  const watched = { figures: mesh, running: { actions: [line()], total: 3, silent: [] } };
  expect(watchFigures(watched)).toEqual([
    "Workers: 2 (2 busy, 0 idle)",
    "Queue: 12 pending",
    "Throughput: 45 actions/min",
    "Cache hit rate: 25%",
  ]);
  const lines = watchLines(watched, { columns: 80, rows: 24 });
  for (const one of lines) expect(textWidth(one)).toBeLessThan(80);
  expect(lines[0]).toBe(`┌${"─".repeat(33)}┐`);
  expect(lines[1]).toBe(`│ Workers: 2 (2 busy, 0 idle)${" ".repeat(5)}│`);
  expect(lines[3]).toMatch(/^│ Throughput: 45 actions\/min {6}│ {2}[▁-█]{30,60}$/u);
  expect(lines).toContain("   2.0s worker-1  //:app CppCompile");
  expect(lines).toContain("laptop: 2 of 2 slots busy, 0 pending, 6 running");
  expect(lines).toContain("away: silent");
  expect(lines.at(-1)).toBe("q quits");
  for (const size of [
    { columns: 20, rows: 5 },
    { columns: 1, rows: 1 },
  ]) {
    const small = watchLines(watched, size);
    expect(small.length).toBeLessThanOrEqual(Math.max(1, size.rows - 1));
    for (const one of small)
      expect(textWidth(one)).toBeLessThanOrEqual(Math.max(1, size.columns - 1));
  }
  expect(awayLines("it\nis away", 65_000, 80)[0]).toContain("does not answer for 1m 5s");
  expect(sparkline([0, 1, 2, 7], 3)).toBe("▂▃█");
});

test("names of targets, workers, hosts and users never reach a terminal raw", () => {
  const name = `x${hostile}`;
  const bad: MeshFigures = {
    hosts: [host(name, { workers: [worker(name)], beats }), host(name, { silent: true })],
    troubles: [`The link to ${name} is bad.`],
  };
  const action = line({ kind: name, worker: name, failure: name, user: name, state: name });
  const list = { actions: [action], total: 1, silent: [name] };
  const told = { action, lines: [`${name}.`, `  by ${name} of ${name}`], differences: [] };
  const said = { seq: 1, ageMs: 0, level: "info", text: name, host: name };
  const log = { lines: [said], silent: [name], refused: [name] };
  const screens = [
    ...topLines(bad, 80),
    ...actionLines(list, 80),
    ...watchLines({ figures: bad, running: list }, { columns: 100, rows: 50 }),
    ...watchFigures({ figures: bad, running: list }),
    ...awayLines(name, 1, 100),
    ...whyLines(told, 80),
    ...logLines(log, 0),
    ...silentLine([name]),
  ];
  for (const text of screens) expect(text).not.toMatch(raw);
  expect(screens.join("\n")).toContain("\\x1b[2J");
});

test("tables give way in one column, texts wrap at spaces", () => {
  const columns = [
    { head: "Name", gives: true },
    { head: "N", right: true },
  ];
  const rows = [
    ["a-name-that-is-much-too-long-for-it", "1"],
    ["b", "20"],
  ];
  expect(tableLines(columns, rows, 20)).toEqual([
    "Name               N",
    "a-name-…g-for-it   1",
    "b                 20",
  ]);
  expect(wrapped("  one two three four", 11, "    ")).toEqual([
    "  one two",
    "    three",
    "    four",
  ]);
  expect(wrapped("averylongwordthatdoesnotfit", 5, " ")).toEqual(["averylongwordthatdoesnotfit"]);
});

test("a build's profile is a short table within 80 columns, whatever its actions are called", () => {
  const action = {
    kind: `//:app ${hostile} ${"long ".repeat(30)}`,
    worker: hostile,
    state: "done",
  };
  const part = BuildPart.fromPartial({
    ...{ invocation: `build ${hostile}`, queued: 2, queuedMs: 500, cached: 7, savedMs: 61_000 },
    actions: [
      { ...action, ageMs: 4000, endedMs: 3000, waitMs: 200, runMs: 700, storeMs: 50 },
      { ...action, kind: "link", ageMs: 3000, endedMs: 0, runMs: 3000, state: "running" },
    ],
  });
  const lines = buildProfileLines(profileOfParts([part], "build", ["shed"]), 80);
  for (const one of lines) {
    expect(textWidth(one), one).toBeLessThanOrEqual(80);
    expect(one).not.toMatch(raw);
  }
  expect(lines).toContain("  Build         4.0s, 1 ran, 1 run, 2 wait, 7 from the cache");
  expect(lines).toContain("  In turn       2 actions, 4.0s (100 % of the build)");
  expect(lines).toContain("  Cache saved   1m 1s of commands");
  expect(lines.at(-1)).toBe("Silent: shed");
});
