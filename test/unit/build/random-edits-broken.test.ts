// The property of random edits finds a client that is broken: each of these breaks one thing.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { PreparedBlob } from "../../../src/build/prepared-action.ts";
import type { Include } from "../../../src/rules/include-scanner.ts";
import type { SourceFiles } from "../../../src/workspace/source-files.ts";
import type { DirectExecutor } from "../../support/direct-executor.ts";
import { editLists } from "../../support/model-edits.ts";

const look = "../../../src/workspace/look.ts";
const sourceFiles = "../../../src/workspace/source-files.ts";
const scanner = "../../../src/rules/include-scanner.ts";
const prepared = "../../../src/build/prepared-action.ts";

beforeEach(() => vi.resetModules());
afterEach(() => {
  for (const path of [look, sourceFiles, scanner, prepared]) vi.doUnmock(path);
});

/** What the property says of the client as it is mocked, and of an executor. */
async function verdict(
  broken: (executor: DirectExecutor) => DirectExecutor = (one) => one,
  { allHasty = false, numRuns = 400 } = {},
): Promise<string> {
  const { followEdits } = await import("../../support/model-run.ts");
  const { createModelExecutor } = await import("../../support/model-executor.ts");
  const createExecutor = () => broken(createModelExecutor());
  const property = fc.asyncProperty(editLists(8), (edits) =>
    followEdits(allHasty ? edits.map((edit) => ({ ...edit, hasty: true })) : edits, {
      createExecutor,
      modelled: true,
    }),
  );
  const found = await fc.check(property, { numRuns, seed: 4, endOnFailure: true });
  return found.failed ? String(found.errorInstance) : "nothing found";
}

describe("the property finds a client that", { timeout: 200_000 }, () => {
  test("looks at size and time of modification only", async () => {
    vi.doMock(look, async (original) => {
      const real = await original<typeof import("../../../src/workspace/look.ts")>();
      const lookAt = (path: string) => real.lookAt(path).split(" ").slice(0, 2).join(" ");
      return { ...real, lookAt };
    });
    expect(await verdict()).toContain("must");
  });

  test("trusts files that were touched just now, where the clock is coarse", async () => {
    const withClock = (settled: { readonly isSettled?: () => boolean }) => {
      vi.resetModules();
      vi.doMock(look, async (original) => {
        const real = await original<typeof import("../../../src/workspace/look.ts")>();
        // Seconds, and no inode: an edit after a build may look as before.
        const lookAt = (path: string) =>
          real.lookAt(path).replace(/ (\d+)\d{9} (\d+)\d{9} \d+$/, " $1000000000 $2000000000");
        return { ...real, lookAt, ...settled };
      });
      return verdict(undefined, { allHasty: true, numRuns: 60 });
    };
    expect(await withClock({ isSettled: () => true })).toContain("must");
    expect(await withClock({})).toBe("nothing found");
  });

  test("does not remember which folders it listed", async () => {
    vi.doMock(sourceFiles, async (original) => {
      const real = await original<typeof import("../../../src/workspace/source-files.ts")>();
      const blind = (...args: Parameters<typeof real.sourceFiles>): SourceFiles => {
        return { ...real.sourceFiles(...args), looks: () => new Map() };
      };
      return { ...real, sourceFiles: blind };
    });
    expect(await verdict()).toContain("must");
  });

  test("sees no angled includes", async () => {
    vi.doMock(scanner, async (original) => {
      const real = await original<typeof import("../../../src/rules/include-scanner.ts")>();
      const parseIncludes = (text: string): Include[] =>
        real.parseIncludes(text).filter(({ kind }) => kind !== "angled");
      return { ...real, parseIncludes };
    });
    expect(await verdict()).toContain("must");
  });

  test("shows every source to every compile", async () => {
    vi.doMock(scanner, async (original) => {
      const real = await original<typeof import("../../../src/rules/include-scanner.ts")>();
      const parseIncludes = (text: string): Include[] => [
        ...real.parseIncludes(text),
        { kind: "computed", path: "ANY" },
      ];
      return { ...real, parseIncludes };
    });
    expect(await verdict()).toContain("actions that ran for no reason");
  });

  test("names actions without their environment", async () => {
    vi.doMock(prepared, async (original) => {
      const real = await original<typeof import("../../../src/build/prepared-action.ts")>();
      const prepareAction: typeof real.prepareAction = (build, salt, files) =>
        real.prepareAction({ ...build, env: {} }, salt, files);
      return { ...real, prepareAction };
    });
    expect(await verdict()).toContain("LEVEL");
  });

  test("believes an executor that answers with the last result of the same step", async () => {
    const broken = (executor: DirectExecutor): DirectExecutor => {
      const last = new Map<string, Awaited<ReturnType<DirectExecutor["execute"]>>>();
      const execute: DirectExecutor["execute"] = async (action, call) => {
        const done = last.get(action.build.id) ?? (await executor.execute(action, call));
        last.set(action.build.id, done);
        return done;
      };
      return { ...executor, execute };
    };
    expect(await verdict(broken)).toContain("must");
  });

  test("asks an executor whose cache never answers", async () => {
    const broken = (executor: DirectExecutor): DirectExecutor => ({
      ...executor,
      execute: (action, call) => {
        const blobByKey = new Map<string, PreparedBlob>(action.blobByKey);
        return executor.execute(
          { ...action, blobByKey, build: { ...action.build, cache: false } },
          call,
        );
      },
    });
    expect(await verdict(broken)).toContain("actions that ran for no reason");
  });
});
