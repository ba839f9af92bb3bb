// Hostile actions as a worker gets them, many at once beside honest ones: each ends by its limit
// with one sentence, the honest ones do not notice, and nothing is left of any.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { newMark, processesWith } from "./linux-subjects.ts";
import { WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();
const mark = newMark();
const limits = {
  "builder.max_memory": String(64 << 20),
  "builder.max_processes": "40",
  "builder.max_output": String(8 << 20),
  "builder.max_output_files": "300",
  "builder.max_tmp": String(4 << 20),
  "builder.max_tmp_files": "100",
  "builder.max_log": String(256 << 10),
};

/** Script and what its result says. None ends by itself. */
const hostile: readonly (readonly [string, string, RegExp])[] = [
  ["a fork bomb", "b() { b | b & }; b; sleep 600", /^Killed: process limit 40\./],
  ["a fork bomb of sessions", "while :; do setsid sleep 600 & done", /^Killed: process limit 40\./],
  ["a memory hog", "head -c 900m /dev/zero | tail", /^Killed: memory limit 64 MiB, peak /],
  [
    "hogs together",
    "for i in 1 2 3 4; do (head -c 30m /dev/zero; sleep 600) | tail & done; wait",
    /memory limit/,
  ],
  ["gigabytes of stderr", "exec yes >&2", /^Killed: log limit 256 KiB\..*cut off/],
  [
    "a full disk",
    "i=0; while :; do i=$((i+1)); head -c 1m /dev/zero > big$i; done",
    /output limit 8 MiB/,
  ],
  ["a large file", "exec cat /dev/zero > big", /output limit 8 MiB/],
  ["many files", "i=0; while :; do i=$((i+1)); : > f$i; done", /output limit 300 files/],
  ["a full /tmp", "exec 2>&-; while :; do cat /dev/zero > /tmp/x; done", /\/tmp limit 4 MiB/],
  [
    "many temporary files",
    "exec 2>&-; i=0; while :; do i=$((i+1)); : > /tmp/f$i; done",
    /\/tmp limit 100 files/,
  ],
];
/** Those that only time ends. */
const lasting: readonly (readonly [string, string])[] = [
  ["a sleeper that hears no signal", `trap '' TERM INT HUP QUIT; sleep ${mark}; sleep ${mark}`],
  ["a stopped process", `sh -c 'kill -STOP $$; sleep ${mark}'`],
  ["busy threads", "for i in 1 2 3 4; do (while :; do :; done) & done; wait"],
  ["closed output", `exec <&- >&- 2>&-; exec sleep ${mark}`],
];

let salt = 0;
function act(script: string, properties: Record<string, string>, seconds: number) {
  salt += 1;
  const pairs = Object.entries(properties).map(([name, value]) => ({ name, value }));
  return worker.run({
    command: { arguments: ["/bin/bash", "-c", script] },
    action: {
      platform: { properties: pairs },
      timeout: { seconds, nanos: 0 },
      salt: Buffer.from(`hostile ${salt}`),
    },
  });
}

test("hostile actions end by their limits beside honest ones, and leave nothing", {
  timeout: 300_000,
}, async () => {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const ended = hostile.map(async ([name, script, why]) => {
    const { result, message } = await act(script, limits, 120);
    return { name, fits: why.test(message) || message, exitCode: result?.exitCode };
  });
  const timed = lasting.map(async ([name, script]) => {
    const { status, message } = await act(script, limits, 1);
    return { name, fits: /^Action timeout/.test(message) || message, exitCode: status?.code };
  });
  const honest = Array.from({ length: 6 }, async (_, at) => {
    const script = `for i in 1 2 3; do seq 2000 | sort -R | sort -n | tail -n 1; done; exit ${at}`;
    const { result } = await act(script, limits, 120);
    return [result?.exitCode, await worker.text(result?.stdoutDigest)];
  });
  const all = await Promise.all([...ended, ...timed]);
  for (const [at, { name, fits, exitCode }] of all.entries()) {
    expect([name, fits, exitCode]).toEqual([name, true, at < hostile.length ? exitCode : 4]);
    expect([name, exitCode]).not.toEqual([name, 0]);
  }
  const answers = await Promise.all(honest);
  expect(answers).toEqual(answers.map((_, at) => [at, "2000\n2000\n2000\n"]));
  expect(processesWith(mark)).toEqual([]);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toBe(mounts);
});
