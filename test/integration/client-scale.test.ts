// Workspaces of a size that shows what does not grow well. Times are noted, not asserted.

import { afterEach, describe, expect, test } from "vitest";
import { planBuild } from "../../src/rules/plan.ts";
import { openWorkspace } from "../../src/workspace/workspace.ts";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";
import { quickFolder } from "../support/model-disk.ts";
import { createModelExecutor } from "../support/model-executor.ts";

afterEach(removeWorkspaces);

/** How long something took goes to the log of the test run. */
async function noted<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const done = await work();
  console.info(`${what}: ${Math.round(performance.now() - startedAt)} ms`);
  return done;
}

function custom(name: string, deps: readonly string[]): string {
  const read = ["in", ...deps].join(" ");
  return (
    `target ${name}:\n    command: |\n        cat ${read} > ${name}\n` +
    `    inputs: [in]\n    outputs: [${name}]\n    deps: [${deps.join(", ")}]\n`
  );
}

/** A workspace whose tools are functions. */
function modelled(files: Readonly<Record<string, string>>) {
  const workspace = workspaceOf(files, quickFolder);
  workspace.executor = createModelExecutor();
  return workspace;
}

describe("many of", () => {
  test("files that one glob matches: 50,000", async () => {
    const files: Record<string, string> = {
      Builderfile:
        "target t:\n    command: |\n        cat d0/f0 > out\n    inputs: ['d*/*']\n    outputs: [out]\n",
    };
    for (let at = 0; at < 50_000; at += 1) files[`d${at % 100}/f${Math.floor(at / 100)}`] = `${at}`;
    const workspace = modelled(files);
    const first = await noted("50,000 inputs, first build", () => workspace.build());
    expect(first.ids).toEqual(["t Custom"]);
    await workspace.build();
    const again = await noted("50,000 inputs, no change", () => workspace.build());
    expect(again).toMatchObject({ ok: true, calls: 0 });
    workspace.write("d7/f7", "changed");
    const changed = await noted("50,000 inputs, one changed", () => workspace.build());
    expect(changed.ids).toEqual(["t Custom"]);
  });

  test("targets in a chain: 5,000, built from the deepest on", async () => {
    const names = Array.from({ length: 5000 }, (_, at) => `t${at}`);
    const text = names.map((name, at) => custom(name, at === 0 ? [] : [`t${at - 1}`]));
    const workspace = modelled({ Builderfile: text.join("\n"), in: "x" });
    const first = await noted("chain of 5,000", () => workspace.build({ names: ["t4999"] }));
    expect(first).toMatchObject({ ok: true, ran: 5000 });
    expect(workspace.read("t4999")).toBe("x".repeat(5000));
  });

  test("libraries in a chain: 500, linked in order", async () => {
    const files: Record<string, string> = { "m.c": "int main(void) { return 0; }\n" };
    const text = ["target app:\n    type: executable\n    sources: [m.c]\n    deps: [l499]\n"];
    for (let at = 0; at < 500; at += 1) {
      files[`l${at}.c`] = `int l${at};\n`;
      const deps = at === 0 ? "" : `    deps: [l${at - 1}]\n`;
      text.push(
        `target l${at}:\n    type: library\n    sources: [l${at}.c]\n    includes: [.]\n${deps}`,
      );
    }
    const workspace = modelled({ ...files, Builderfile: text.join("\n") });
    const first = await noted("500 libraries in a chain", () =>
      workspace.build({ names: ["app"] }),
    );
    expect(first).toMatchObject({ ok: true, ran: 1002 });
    const order = workspace.read("bin/app").match(/l\d+\.a/g) ?? [];
    expect(order[0]).toBe("l499.a");
    expect(new Set(order).size).toBe(500);
  });

  test("diamonds on diamonds: 40 levels, each made once", async () => {
    const text = [custom("a0", []), custom("b0", ["a0"])];
    for (let at = 1; at < 40; at += 1) {
      text.push(
        custom(`a${at}`, [`a${at - 1}`, `b${at - 1}`]),
        custom(`b${at}`, [`a${at - 1}`, `b${at - 1}`]),
      );
    }
    // What they make would double at each level: each takes only the name of what is below.
    const short = text.join("\n").replaceAll(/cat in .* >/g, "cat in >");
    const workspace = modelled({ Builderfile: short, in: "x" });
    expect(await workspace.build({ names: ["a39"] })).toMatchObject({ ok: true, ran: 79 });
    workspace.write("in", "y");
    expect((await workspace.build({ names: ["a39"] })).ran).toBe(79);
  });

  test("targets in one Builderfile: 10,000", async () => {
    const text = Array.from({ length: 10_000 }, (_, at) => custom(`t${at}`, []));
    const workspace = modelled({ Builderfile: text.join("\n"), in: "x" });
    const opened = openWorkspace(workspace.folder, {});
    const targets = await noted("10,000 targets, reading", () => opened.packageTargets(""));
    expect(targets.length).toBe(10_000);
    const findings = { findings: () => [] };
    const plan = await noted("10,000 targets, planning", () =>
      planBuild(opened, findings, targets, { test: false, env: {}, testArgs: [] }),
    );
    expect(plan.actions.length).toBe(10_000);
    const chosen = await noted("one target of 10,000", () => workspace.build({ names: ["t7"] }));
    expect(chosen.ids).toEqual(["t7 Custom"]);
  });
});
