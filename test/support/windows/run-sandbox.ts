// Run by Node for Windows: the sandbox with paths, pipes and signals as Node has them there.
// `FOLDER`, in which `told.json` is written, for Wine loses what is printed.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { WindowsSandbox, windowsProgram } from "../../../src/sandbox/windows-sandbox.ts";

const folder = process.argv[2] ?? "";
const sandbox = new WindowsSandbox({ command: [windowsProgram], systemRoot: "C:\\windows" });
const told: unknown[] = [{ platform: process.platform, isolation: sandbox.isolation }];
const commands = [
  { argv: ["cmd", "/c", "echo made > out.txt & echo said & exit 5"] },
  { argv: ["no-such-program"] },
  { argv: ["cmd", "/c", "ping -n 60 localhost"], cancelAfterMs: 1000 },
] as const;
for (const [at, { argv, ...rest }] of commands.entries()) {
  const scratch = join(folder, `run-${at}`);
  mkdirSync(join(scratch, "root"), { recursive: true });
  const signal = "cancelAfterMs" in rest ? AbortSignal.timeout(rest.cancelAfterMs) : undefined;
  const [stdoutPath, stderrPath] = [join(scratch, "stdout"), join(scratch, "stderr")];
  const { exitCode, cancelled } = await sandbox.run(
    {
      ...{ execRoot: join(scratch, "root"), workingDirectory: "", scratch, network: false },
      ...{ argv: [...argv], env: { PATH: "C:\\windows\\system32" }, stdoutPath, stderrPath },
      limits: {
        ...{ wallMs: 60_000, memoryBytes: 1 << 28, cpus: 1, pids: 64, openFiles: 1024 },
        ...{ fileBytes: 1 << 20, logBytes: 1 << 20, outputBytes: 1 << 24, outputFiles: 100 },
        ...{ tmpBytes: 1 << 20, tmpFiles: 100 },
      },
    },
    signal === undefined ? {} : { signal },
  );
  told.push({ exitCode, cancelled, stdout: readFileSync(stdoutPath, "utf8") });
}
writeFileSync(join(folder, "told.json"), JSON.stringify(told));
