// One project per kind of test, so that a kind can be run alone: `vitest run --project unit`.
import { defineConfig } from "vitest/config";

const root = new URL("..", import.meta.url).pathname;
const report = process.env["VITEST_JSON"];

function kind(name: string, include: string[], timeoutMs: number) {
  return { extends: true, test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs } };
}

export default defineConfig({
  test: {
    root,
    maxWorkers: 2,
    pool: "forks",
    // CI reads the counts from a file; people read the terminal.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      kind(
        "unit",
        ["test/unit/**/*.test.ts", "test/stories/**/*.test.ts", "test/tidy.test.ts"],
        120_000,
      ),
      kind("integration", ["test/integration/**/*.test.ts"], 300_000),
      kind("e2e", ["test/e2e/**/*.test.ts"], 600_000),
    ],
  },
});
