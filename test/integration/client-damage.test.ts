// What is remembered may be cut short or altered anywhere: the next build is as if it were not
// there, and what it places is right.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { stateFile } from "../../src/build/state.ts";
import { recordFolder } from "../../src/build/unchanged.ts";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";
import { quickFolder } from "../support/model-disk.ts";
import { createModelExecutor } from "../support/model-executor.ts";

afterEach(removeWorkspaces);

const files = {
  Builderfile:
    "target gen:\n    command: |\n        cat in > out/a.h\n    inputs: [in]\n    outputs: [out]\n",
  in: "right\n",
};

/** A built workspace, the state it left, and a build that finds another in its place. */
async function built() {
  const workspace = workspaceOf(files, quickFolder);
  workspace.executor = createModelExecutor();
  expect(await workspace.build()).toMatchObject({ ok: true, ran: 1 });
  expect(await workspace.build(), "the state is of use").toMatchObject({ calls: 0 });
  const good = readFileSync(workspace.path(stateFile));
  const buildWith = async (state: Uint8Array) => {
    writeFileSync(workspace.path(stateFile), state);
    // The record of an unchanged build answers without the state.
    rmSync(workspace.path(recordFolder), { recursive: true, force: true });
    workspace.write("out/a.h", "wrong\n");
    const done = await workspace.build();
    return { kept: done.kept, cached: done.cached, ok: done.ok, out: workspace.read("out/a.h") };
  };
  return { good, buildWith };
}

/** Nothing was remembered: the executor was asked, knew the result, and its file was placed. */
const asNew = { kept: 0, cached: 1, ok: true, out: "right\n" };

describe("a state file that is", () => {
  test("cut short at any byte is as none", async () => {
    const { good, buildWith } = await built();
    expect(good.length).toBeGreaterThan(300);
    for (let length = 0; length < good.length; length += 1) {
      expect(await buildWith(good.subarray(0, length)), `cut at ${length}`).toEqual(asNew);
    }
    expect(await buildWith(good), "whole").toEqual({ ...asNew, kept: 1, cached: 0 });
  });

  test("altered in any byte is as none", async () => {
    const { good, buildWith } = await built();
    for (let at = 0; at < good.length; at += 1) {
      const altered = Buffer.from(good);
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      expect(await buildWith(altered), `bit ${at % 8} of byte ${at}`).toEqual(asNew);
    }
  });

  test("followed by more, doubled or with other line ends is as none", async () => {
    const { good, buildWith } = await built();
    const text = good.toString("latin1");
    for (const other of [`${text}x`, text + text, `\n${text}`, text.replaceAll("\n", "\r\n")]) {
      expect(await buildWith(Buffer.from(other, "latin1"))).toEqual(asNew);
    }
  });

  test("a folder is an error that names it, and what was built is in its place", async () => {
    const workspace = workspaceOf(files, quickFolder);
    workspace.executor = createModelExecutor();
    mkdirSync(workspace.path(`${stateFile}/x`), { recursive: true });
    await expect(workspace.build()).rejects.toThrow(/While writing .*\.builder\/state/);
    expect(workspace.read("out/a.h")).toBe("right\n");
  });
});
