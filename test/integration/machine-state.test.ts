import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMachineReader, idleOfIoreg, powerOfPmset } from "../../src/node/machine-state.ts";
import {
  defaultManners,
  type MannersConfig,
  type WorkerManners,
  watchMachine,
} from "../../src/node/manners.ts";
import { createImitationMachine, type ImitationMachine } from "../support/imitation-machine.ts";

let machine: ImitationMachine;
beforeEach(() => {
  machine = createImitationMachine();
});
afterEach(() => machine.remove());

const reader = () => createMachineReader({ root: machine.root, platform: "linux" });
const supply = (name: string, files: Readonly<Record<string, string>>) => {
  for (const [file, text] of Object.entries(files)) {
    machine.write({ [`sys/class/power_supply/${name}/${file}`]: text });
  }
};

describe("power", () => {
  const power = () => reader().read(0).power;

  test("without the folder it is unknown, without supplies it is mains", () => {
    expect(power()).toBe("unknown");
    supply("hidpp_battery_0", { type: "Battery", scope: "Device", status: "Discharging" });
    expect(power()).toBe("mains");
  });

  test("a laptop at its charger and away from it", () => {
    supply("AC", { type: "Mains", online: "1" });
    supply("BAT0", { type: "Battery", status: "Charging" });
    expect(power()).toBe("mains");
    supply("AC", { online: "0" });
    supply("BAT0", { status: "Discharging" });
    expect(power()).toBe("battery");
    supply("ucsi-source-psy-1", { type: "USB", online: "1" });
    expect(power()).toBe("mains");
  });

  test("of two batteries one that is drained does", () => {
    supply("BAT0", { type: "Battery", status: "Not charging" });
    supply("BAT1", { type: "Battery", status: "Discharging" });
    expect(power()).toBe("battery");
  });
});

describe("the processor", () => {
  const cpu = (user: number, nice: number, system: number, idle: number) =>
    machine.write({ "proc/stat": `cpu  ${user} ${nice} ${system} ${idle} 0 0 0 0 0 0\ncpu0 1 1` });

  test("what actions use does not count, and their part of the system's time neither", () => {
    const look = reader();
    cpu(1000, 1000, 1000, 1000);
    const { cores, otherCpus } = look.read(0);
    expect(otherCpus).toBeUndefined();
    cpu(1010, 1030, 1020, 1040);
    expect(look.read(0).otherCpus).toBeCloseTo(((10 + 5) / 100) * cores);
    cpu(1110, 1030, 1020, 1040);
    expect(look.read(0).otherCpus).toBeCloseTo(cores);
    cpu(0, 0, 0, 0);
    expect(look.read(0).otherCpus).toBeUndefined();
  });

  test("is hot when it has throttled itself since the last look", () => {
    const file = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
    const look = reader();
    expect(look.read(0).isHot).toBeUndefined();
    machine.write({ [file]: "7" });
    expect(look.read(0).isHot).toBeUndefined();
    expect(look.read(0).isHot).toBe(false);
    machine.write({ [file]: "9" });
    expect(look.read(0).isHot).toBe(true);
    expect(look.read(0).isHot).toBe(false);
  });
});

test("memory is what can be had, unknown where that is not told", () => {
  expect(reader().read(0).memoryFreeBytes).toBeUndefined();
  machine.write({ "proc/meminfo": "MemTotal:  100 kB\nMemFree:  10 kB\nMemAvailable:   50 kB" });
  expect(reader().read(0).memoryFreeBytes).toBe(51_200);
});

describe("who uses it", () => {
  const keyboard = (transfers: number) =>
    machine.write({
      "sys/bus/usb/devices/1-2/urbnum": `${transfers}`,
      "sys/bus/usb/devices/1-2:1.0/bInterfaceClass": "03",
      "sys/bus/usb/devices/1-2:1.0/bInterfaceProtocol": "01",
      "sys/bus/usb/devices/1-3/urbnum": `${transfers}`,
      "sys/bus/usb/devices/1-3:1.0/bInterfaceClass": "08",
      "sys/bus/usb/devices/1-3:1.0/bInterfaceProtocol": "50",
    });

  test("nothing tells where there is neither terminal nor keyboard to look at", () => {
    expect(reader().read(1000).idleMs).toBeUndefined();
  });

  test("a server at which nobody is logged in is idle", () => {
    machine.write({ "dev/pts/ptmx": "" });
    expect(reader().read(1000).idleMs).toBe(Number.POSITIVE_INFINITY);
  });

  test("the last key at any terminal counts", () => {
    machine.typed("dev/pts/0", 10_000);
    machine.typed("dev/pts/3", 60_000);
    machine.typed("dev/tty2", 50_000);
    expect(reader().read(90_000).idleMs).toBe(30_000);
    expect(reader().read(20_000).idleMs).toBe(0);
  });

  test("so do keyboards and mice, from the first look on; a USB disk does not", () => {
    machine.write({ "dev/pts/ptmx": "" });
    keyboard(5);
    const look = reader();
    expect(look.read(1_000).idleMs).toBe(0);
    expect(look.read(6_000).idleMs).toBe(5_000);
    machine.write({ "sys/bus/usb/devices/1-3/urbnum": "999" });
    expect(look.read(7_000).idleMs).toBe(6_000);
    keyboard(6);
    expect(look.read(8_000).idleMs).toBe(0);
    machine.write({
      "proc/interrupts": "  1:  9 0 IO-APIC 1-edge i8042\n 30: 4 0 PCI-MSI nvme0q0\n",
    });
    expect(look.read(11_000).idleMs).toBe(0);
    expect(look.read(12_000).idleMs).toBe(1_000);
    machine.write({
      "proc/interrupts": "  1:  9 0 IO-APIC 1-edge i8042\n 30: 7 0 PCI-MSI nvme0q0\n",
    });
    expect(look.read(13_000).idleMs).toBe(2_000);
  });
});

test("a reading of this machine takes little and says what it can", () => {
  const look = createMachineReader({ root: "/", platform: process.platform });
  look.read(Date.now());
  const ms = Array.from({ length: 20 }, () => {
    const before = performance.now();
    look.read(Date.now());
    return performance.now() - before;
  });
  // The quickest of them: others may have been held up by what else runs here.
  expect(Math.min(...ms)).toBeLessThan(5);
  const state = look.read(Date.now());
  expect(state.cores).toBeGreaterThanOrEqual(1);
});

test("what macOS says is understood, and nothing else is", () => {
  expect(powerOfPmset("Now drawing from 'Battery Power'\n -InternalBattery-0\t85%;")).toBe(
    "battery",
  );
  expect(powerOfPmset("Now drawing from 'AC Power'\n")).toBe("mains");
  expect(powerOfPmset("")).toBe("unknown");
  expect(idleOfIoreg('  |   "HIDIdleTime" = 4500000000\n')).toBe(4500);
  expect(idleOfIoreg("")).toBeUndefined();
});

describe("a worker's watch", () => {
  let nowMs = 0;
  function watched(config: Partial<MannersConfig>, share: Partial<WorkerManners> = {}) {
    const [said, allowed]: [string[], number[]] = [[], []];
    const watch = watchMachine(
      {
        log: (level, text) => said.push(`${level}: ${text}`),
        now: () => nowMs,
        reader: reader(),
        running: () => 0,
        onAllow: (slots) => allowed.push(slots),
      },
      {
        ...{ ...defaultManners, ...config },
        ...{ slots: 8, index: 0, count: 1, logLevel: "info" },
        ...share,
      },
    );
    watch.stop();
    const lookAt = (atMs: number) => {
      nowMs = atMs;
      watch.look();
    };
    return { said, allowed, lookAt };
  }
  beforeEach(() => {
    nowMs = 0;
    supply("AC", { type: "Mains", online: "1" });
    supply("BAT0", { type: "Battery", status: "Discharging" });
  });

  test("says what changes, once, and opens the slots again", () => {
    const { said, allowed, lookAt } = watched({});
    expect(allowed).toEqual([]);
    supply("AC", { online: "0" });
    lookAt(5_000);
    lookAt(10_000);
    expect(allowed).toEqual([4]);
    supply("AC", { online: "1" });
    lookAt(15_000);
    lookAt(44_000);
    expect(allowed).toEqual([4]);
    lookAt(45_000);
    expect(allowed).toEqual([4, 8]);
    expect(said).toEqual([
      "info: Using 4 of 8 slots on this machine: it runs on battery.",
      "info: Running actions in all 8 slots again.",
    ]);
  });

  test("starts paused where that is so from the beginning", () => {
    supply("AC", { online: "0" });
    const { said, allowed } = watched({ onBattery: "pause" });
    expect(allowed).toEqual([0]);
    expect(said).toEqual(["info: Running no actions on this machine: it runs on battery."]);
  });

  test("of two workers with a slot each one goes on", () => {
    supply("AC", { online: "0" });
    expect(watched({}, { slots: 2, index: 0, count: 2 }).allowed).toEqual([]);
    expect(watched({}, { slots: 2, index: 1, count: 2 }).allowed).toEqual([0]);
  });

  test("does not look where nothing could be against running", () => {
    supply("AC", { online: "0" });
    expect(watched({ onBattery: "run" }).allowed).toEqual([]);
  });
});
