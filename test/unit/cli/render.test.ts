import { expect, test } from "vitest";
import { formatAge, formatBytes, formatShare, renderStatus } from "../../../cli/render.ts";
import { formatMs } from "../../../src/telemetry/duration.ts";

test("spans, ages, sizes and shares read as the handbook prints them", () => {
  expect([45, 999.6, 1200, 332_000, 7_500_000].map(formatMs)).toEqual([
    "45ms",
    "1.0s",
    "1.2s",
    "5m 32s",
    "2h 5m",
  ]);
  expect([10, 1000, 125_000, 3_600_000, 90_000_000].map(formatAge)).toEqual([
    "just now",
    "1s ago",
    "2m ago",
    "1h ago",
    "1d ago",
  ]);
  expect([0, 999, 234_000, 999_600, 1_234_567].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "234 KB",
    "1.0 MB",
    "1.2 MB",
  ]);
  expect(formatShare(1, 0, 1)).toBe("-");
  expect(formatShare(3, 4, 0)).toBe("75%");
});

test("the status screen counts a worker busy while any of its slots is taken", () => {
  const worker = { peer: "p", slots: 2, queued: 0, draining: false, isolation: "none" };
  const screen = renderStatus({
    version: "0.1.0",
    uptimeMs: 332_000,
    draining: false,
    workers: [
      { ...worker, name: "worker-1", free: 1 },
      { ...worker, name: "worker-2", free: 2 },
    ],
    pending: 12,
    executing: 1,
    actions: { ended: 3, succeeded: 2, failed: 1, runMs: 2550, cacheLookups: 4, cacheHits: 1 },
    scaling: undefined,
    workersMin: 2,
    workersMax: 20,
    coordinator: "127.0.0.1:9000",
    reapi: [],
    invocations: [
      { user: "ann", invocation: "7f\u001b[2J", pending: 12, executing: 1, pendingMs: 0 },
    ],
    peer: "a",
    members: [
      { peer: "a", name: "desk", state: "alive", linked: true, addresses: [] },
      { peer: "b", name: "laptop", state: "dead", linked: false, addresses: [] },
    ],
    leader: "a",
    term: 1,
    workStealing: true,
    waits: [{ reason: "slots are taken", count: 12, longestMs: 5200 }],
    troubles: ["The link to \u001b]0;x\u0007 takes 300ms there and back: a bad line."],
  });
  expect(screen).toContain("Service: Running (uptime: 5m 32s)");
  expect(screen).toContain("  Total: 2\n  Idle: 1\n  Busy: 1\n  Utilization: 25%");
  expect(screen).toContain("  Pending: 12 actions\n  Executing: 1 action\n  Completed: 3 actions");
  expect(screen).toContain("  Waiting: 12 because slots are taken (longest 5.2s)\n");
  expect(screen).toContain("Look at:\n  The link to \\x1b]0;x\\x07 takes 300ms there and back");
  expect(screen).toContain("  Success rate: 50.0%\n  Cache hit rate: 25.0%");
  expect(screen).toContain("  Avg execution time: 850ms");
  expect(screen).toContain(
    "Mesh:\n  Hosts: 1 of 2 alive\n  Coordinator: desk (this node)\n  Work stealing: on\n",
  );
  expect(screen).toContain("Invocations:\n  ann 7f\\x1b[2J: 12 pending, 1 executing\n");
});
