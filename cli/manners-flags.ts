// The flags by which the owner of a machine says how much of it actions may have: the same for all
// commands that run workers.

import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Restraint } from "../src/core/manners.ts";
import { defaultManners, type MannersConfig } from "../src/node/manners.ts";
import { size, wholeNumber } from "./flags.ts";

/** What they say; left out is the default. */
export interface MannersFlags {
  readonly onBattery?: Restraint;
  readonly whenHot?: Restraint;
  readonly whenIdle?: boolean;
  readonly maxCpu?: number;
  readonly maxMemory?: number;
  readonly nice?: number;
}

const restraints: readonly Restraint[] = ["pause", "slow", "run"];

/** Flag and meaning, in the order of `--help`. */
const mannersFlags: readonly Option[] = [
  new Option(
    "--on-battery <how>",
    "without mains: pause, half of the slots (slow), or run",
  ).choices(restraints),
  new Option("--when-hot <how>", "the same while the processor throttles itself").choices(
    restraints,
  ),
  new Option("--when-idle", "run actions only while nobody has used this machine for 5 minutes"),
  new Option(
    "--max-cpu <share>",
    "cores for actions, 4 or 50%; less while others need them",
  ).argParser(cpus),
  new Option(
    "--max-memory <size>",
    "memory for all actions; fewer run while less is free",
  ).argParser(size),
  new Option("--nice <n>", "niceness of workers and actions (10)").argParser(wholeNumber(0, 19)),
];

/** Adds them to a command. */
export function addMannersFlags(command: Command): void {
  for (const flag of mannersFlags) command.addOption(flag);
}

/** What they mean, with the defaults. */
export function readManners(flags: MannersFlags): MannersConfig {
  return {
    onBattery: flags.onBattery ?? defaultManners.onBattery,
    whenHot: flags.whenHot ?? defaultManners.whenHot,
    whenIdle: flags.whenIdle ?? defaultManners.whenIdle,
    cpusMax: flags.maxCpu,
    memoryBytesMax: flags.maxMemory,
    nice: flags.nice ?? defaultManners.nice,
  };
}

/** `4`, `1.5` or `50%`, in cores of this machine. */
export function cpus(text: string): number {
  const [, digits, percent] = /^(\d{1,4}(?:\.\d{1,2})?)(%?)$/.exec(text) ?? [];
  const cores = (Number(digits) * (percent === "%" ? availableParallelism() : 100)) / 100;
  const isAll = percent === "%" && Number(digits) > 100;
  if (digits !== undefined && cores > 0 && !isAll) return cores;
  throw new InvalidArgumentError("It wants cores or a part of them, such as 4 or 50%.");
}
