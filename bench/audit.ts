// What an audit costs: the same command bare and under the tracer, in turn. A compile that reads
// much, one that reads little, and a shell that does nothing but start programs: the worst there
// is.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultLimits } from "../src/node/limits.ts";
import { AuditingSandbox } from "../src/sandbox/auditing-sandbox.ts";
import { BareSandbox } from "../src/sandbox/bare-sandbox.ts";
import type { Sandbox, SandboxRun } from "../src/sandbox/sandbox.ts";
import { findSandboxProgram } from "../src/sandbox/sandbox-program.ts";
import { readActionLimits } from "../src/worker/action-limits.ts";
import { median, type Row } from "./table.ts";

const fiveTimes = "/bin/true; /bin/true; /bin/true; /bin/true; /bin/true";

const commands: readonly (readonly [string, [string, ...string[]], string])[] = [
  [
    "C++ with <iostream>, <map>, <regex>, -O2",
    ["g++", "-O2", "-c", "big.cpp", "-o", "big.o"],
    "400 headers",
  ],
  ["C with <stdio.h>", ["gcc", "-O2", "-c", "small.c", "-o", "small.o"], "30 headers"],
  [
    "a shell that starts `true` 100 times",
    ["sh", "-c", `for i in $(seq 20); do ${fiveTimes}; done`],
    "100 processes",
  ],
];

/** Measures in `folder`. */
export async function* benchAudit(folder: string, runs: number): AsyncGenerator<Row> {
  const program = await findSandboxProgram({
    ...{ stateFolder: folder, arch: process.arch, program: "audit" },
  });
  const workspace = join(folder, "workspace");
  mkdirSync(workspace);
  let calls = 0;
  const audited = new AuditingSandbox({
    ...{ program, workspace, skipped: [] },
    onTrace: ({ files }) => {
      calls = files.reduce((sum, { count }) => sum + count, 0);
    },
  });
  const bare = new BareSandbox();
  for (const [what, argv, about] of commands) {
    const times = { bare: [] as number[], audited: [] as number[] };
    for (let at = 0; at < runs + 1; at += 1) {
      const without = await timed(bare, folder, argv);
      const within = await timed(audited, folder, argv);
      // The first warms the page cache up.
      if (at === 0) continue;
      times.bare.push(without);
      times.audited.push(within);
    }
    const ratio = median(times.audited) / median(times.bare);
    yield {
      what: `audit of ${what} (${about}, ${calls} looks at files)`,
      figure: `${median(times.audited).toFixed(0)} ms, ${ratio.toFixed(2)} ×`,
      beside: `bare: ${median(times.bare).toFixed(0)} ms`,
    };
  }
}

async function timed(sandbox: Sandbox, folder: string, argv: [string, ...string[]]) {
  const scratch = join(folder, "scratch");
  const execRoot = join(scratch, "root");
  mkdirSync(execRoot, { recursive: true });
  writeFileSync(
    join(execRoot, "big.cpp"),
    "#include <iostream>\n#include <map>\n#include <regex>\nint main() {\n" +
      '  std::map<std::string, int> m; m["a"] = 1;\n' +
      '  std::cout << std::regex_match("a", std::regex("a|b")) << m.size();\n}\n',
  );
  writeFileSync(
    join(execRoot, "small.c"),
    '#include <stdio.h>\nint main(void) { return puts(""); }\n',
  );
  const run: SandboxRun = {
    ...{ execRoot, scratch, argv, workingDirectory: "", network: false },
    env: { PATH: "/usr/bin:/bin" },
    stdoutPath: join(scratch, "stdout"),
    stderrPath: join(scratch, "stderr"),
    limits: readActionLimits(new Map(), undefined, defaultLimits(1)).limits,
  };
  const startMs = performance.now();
  const { exitCode } = await sandbox.run(run);
  const ms = performance.now() - startMs;
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} failed`);
  rmSync(scratch, { recursive: true });
  return ms;
}
