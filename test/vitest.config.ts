// One project per kind of test, so that a kind can be run alone: `vitest run --project unit`.
import { defineConfig } from "vitest/config";

const root = new URL("..", import.meta.url).pathname;

function kind(name: string, include: string[], timeoutMs: number) {
  return { extends: true, test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs } };
}

export default defineConfig({
  test: {
    root,
    maxWorkers: 2,
    pool: "forks",
    reporters: ["default"],
    projects: [
      kind(
        "unit",
        ["test/unit/**/*.test.ts", "test/stories/**/*.test.ts", "test/tidy.test.ts"],
        30_000,
      ),
      kind("integration", ["test/integration/**/*.test.ts"], 120_000),
      kind("e2e", ["test/e2e/**/*.test.ts"], 600_000),
    ],
  },
});
