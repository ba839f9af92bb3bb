// A node on a machine that is unplugged and plugged in again: its files of power supplies are
// replaced by imitations, which takes root and bubblewrap.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { childrenOf, createPlace, type Place, run, startNode } from "../support/programs.ts";

const bubblewrap = "/usr/bin/bwrap";
const supplies = "/sys/class/power_supply";
const canImitate = process.getuid?.() === 0 && [bubblewrap, supplies].every((p) => existsSync(p));
if (!canImitate) process.stderr.write("SKIPPED laptops: no bwrap as root, or no power supplies\n");

describe.skipIf(!canImitate)("a laptop that pauses on battery", () => {
  let place: Place;
  beforeAll(() => {
    place = createPlace();
  });
  afterAll(() => place.remove());

  function plug(online: boolean): string {
    const power = join(place.folder, "power");
    for (const name of ["AC", "BAT0"]) mkdirSync(join(power, name), { recursive: true });
    writeFileSync(join(power, "AC/type"), "Mains\n");
    writeFileSync(join(power, "AC/online"), online ? "1\n" : "0\n");
    writeFileSync(join(power, "BAT0/type"), "Battery\n");
    writeFileSync(join(power, "BAT0/status"), "Discharging\n");
    return power;
  }

  async function start() {
    const power = plug(false);
    const within = [bubblewrap, "--die-with-parent", "--dev-bind", "/", "/"];
    const flags = ["--workers-min", "2", "--slots", "1", "--on-battery", "pause"];
    const node = await startNode(place, flags, [...within, "--bind", power, supplies]);
    const pid = childrenOf(node.process.pid ?? -1)[0] ?? -1;
    await eventually("it says so", () =>
      node.said().includes("Running no actions on this machine: it runs on battery."),
    );
    const target = (name: string) =>
      `target ${name}:\n    command: echo ${name} > ${name}.out\n    outputs: [${name}.out]\n` +
      "    cache: false\n";
    const names = ["a", "b", "c"];
    const folder = place.workspace({ Builderfile: names.map(target).join("") });
    const building = run(place, folder, "bldr", ["build", `--remote=${node.address}`]);
    const status = async () => {
      const args = ["remote", "status", "--coordinator", node.address, "--json"];
      return JSON.parse((await run(place, folder, "builder", args)).stdout);
    };
    await eventually("all of them wait", async () => (await status()).pending === names.length);
    return { node, pid, building, status };
  }

  test("runs nothing until it has been plugged in for a while", async () => {
    const { node, pid, building, status } = await start();
    expect((await status()).actions.ended).toBe(0);
    plug(true);
    const built = await building;
    expect(built.code, built.stderr).toBe(0);
    // Each worker looks for itself; the one that speaks for all may be the later one.
    await eventually("it says so", () =>
      node.said().includes("Running actions in all 2 slots again."),
    );
    process.kill(pid, "SIGINT");
    await eventually("it has stopped", () => node.said().includes("Stopped"));
  });

  test("finishes what it accepted when it is told to leave", async () => {
    const { node, pid, building } = await start();
    process.kill(pid, "SIGINT");
    const built = await building;
    expect(built.code, built.stderr).toBe(0);
    await eventually("it has stopped", () => node.said().includes("Stopped"));
  });
});
