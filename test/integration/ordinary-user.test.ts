// Suites that take their sandbox as they find it, run once more as an ordinary user where the tests
// run as root. The suites of the sandbox itself do that on their own (linux-subjects.ts).

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { newState, removeStates } from "./linux-subjects.ts";
import { canBecomeOrdinary, ordinaryUser } from "./sandbox-process.ts";

afterAll(removeStates);

const root = new URL("../..", import.meta.url).pathname;
const vitest = join(root, "node_modules/vitest/vitest.mjs");

/** A test run of its own, of a user who can write to `home` only; the report is left there. */
function runAsOrdinary(file: string, home: string): Promise<{ code: unknown; said: string }> {
  // The usual loader of the configuration writes beside the packages.
  const config = ["--config", "test/vitest.config.ts", "--configLoader", "runner"];
  const args = [vitest, "run", ...config, "--project", "integration", `test/integration/${file}`];
  const { PATH } = process.env;
  const env = { PATH, HOME: home, TMPDIR: home, VITEST_JSON: join(home, "report.json") };
  const user = { uid: ordinaryUser, gid: ordinaryUser };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, env, ...user }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), said: stdout + stderr }),
    );
  });
}

describe.runIf(canBecomeOrdinary())("as an ordinary user", () => {
  test.each(["hostile-actions.test.ts", "laid-roots.test.ts", "scratch.test.ts"])(
    "%s passes whole",
    { timeout: 600_000 },
    async (file) => {
      const home = newState(ordinaryUser);
      const { code, said } = await runAsOrdinary(file, home);
      expect(code, said).toBe(0);
      const report = JSON.parse(readFileSync(join(home, "report.json"), "utf8"));
      expect(report.numTotalTests, said).toBeGreaterThan(0);
      expect(report.numPassedTests, said).toBe(report.numTotalTests);
    },
  );
});
