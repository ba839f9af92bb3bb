import { describe, expect, test } from "vitest";
import type { TreeEntry } from "../../../src/cas/merkle.ts";
import { planWork } from "../../../src/worker/work-plan.ts";

const limits = {
  ...{ wallMs: 1000, memoryBytes: 1, cpus: 1, pids: 1, openFiles: 1, fileBytes: 1, logBytes: 1 },
  ...{ outputBytes: 1, outputFiles: 1, tmpBytes: 1, tmpFiles: 1 },
};
const action = {
  request: { user: "u", instance: "" },
  run: {
    ...{ execRoot: "/x/root", workingDirectory: "", env: { A: "1", B: "2" }, network: false },
    ...{ argv: ["cc", "-g", "@f"] as const, limits, scratch: "/x" },
    ...{ stdoutPath: "/x/stdout", stderrPath: "/x/stderr" },
  },
  properties: new Map([["persistentWorkerKey", "k"]]),
};
const digest = (hash: string) => ({ hash, sizeBytes: 1, fn: "sha256" as const });
const tool: TreeEntry = {
  ...{ kind: "file", path: "tool", digest: digest("aa"), executable: true, isTool: true },
};
const source: TreeEntry = { kind: "file", path: "s", digest: digest("bb"), executable: false };
type Planned = Parameters<typeof planWork>[0];
const keyOf = (of: Planned, entries: readonly TreeEntry[] = [tool, source]) =>
  planWork(of, entries)?.key;

describe("the key of a process", () => {
  test("is the same for other inputs, flag files, folders and times", () => {
    const { run } = action;
    const same: [Planned, TreeEntry[]][] = [
      [action, [tool, { ...source, digest: digest("cc") }]],
      [{ ...action, run: { ...run, argv: ["cc", "-g", "@other"] } }, [tool]],
      [{ ...action, run: { ...run, execRoot: "/y/root", scratch: "/y" } }, [tool]],
      [{ ...action, run: { ...run, env: { B: "2", A: "1" } } }, [tool]],
      [{ ...action, run: { ...run, limits: { ...limits, wallMs: 9 } } }, [tool]],
    ];
    for (const [of, entries] of same) expect(keyOf(of, entries)).toBe(keyOf(action));
  });

  test("is another for whatever makes another process, and for another user", () => {
    const { run, request } = action;
    const others: [Planned, TreeEntry[]][] = [
      [action, [{ ...tool, digest: digest("cc") }]],
      [action, [{ ...tool, path: "other" }]],
      [action, [{ ...tool, executable: false }]],
      [action, [tool, { ...source, isTool: true }]],
      [{ ...action, request: { ...request, user: "v" } }, [tool]],
      [{ ...action, request: { ...request, instance: "i" } }, [tool]],
      [{ ...action, properties: new Map([["persistentWorkerKey", "l"]]) }, [tool]],
      [{ ...action, run: { ...run, argv: ["cc", "@f"] } }, [tool]],
      [{ ...action, run: { ...run, env: { A: "1" } } }, [tool]],
      [{ ...action, run: { ...run, network: true } }, [tool]],
      [{ ...action, run: { ...run, limits: { ...limits, memoryBytes: 2 } } }, [tool]],
    ];
    const keys = [keyOf(action), ...others.map(([of, entries]) => keyOf(of, entries))];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

test("there is no plan for an action that asks for none, or cannot have one", () => {
  const { run } = action;
  expect(keyOf({ ...action, properties: new Map() })).toBeUndefined();
  expect(keyOf({ ...action, run: { ...run, argv: ["cc", "f"] } })).toBeUndefined();
  expect(keyOf({ ...action, run: { ...run, workingDirectory: "a" } })).toBeUndefined();
});
