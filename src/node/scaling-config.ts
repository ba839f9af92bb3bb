// What the owner says about scaling: on the command line of `builder serve`, which counts most, and
// by `builder remote configure`, which is kept in `<store>/scaling.json`. Checked here, whoever
// wrote it; each problem names the flag.

import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type CloudConfig, cloudSettings, parseCloudConfig } from "../cloud/provider-config.ts";
import { MeshError } from "../core/error.ts";
import {
  type ScalingMode,
  type ScalingSettings,
  scalingDefaults,
} from "../core/scaling-settings.ts";
import { parseSchedule, scheduledMinimum } from "./schedule.ts";
import { readWhole, writeJson } from "./state-files.ts";

/** What clouds can be told, for those who read flags. */
export { cloudSettings };

/** The kinds of machines there are besides this host's own worker processes. */
export type CloudName = CloudConfig["provider"];

/** What was said about scaling; what is left out has a default. */
export interface ScalingWishes {
  readonly autoscale?: ScalingMode;
  /** Machines kept, 0 to 1,000. */
  readonly workersMin?: number;
  /** Machines never exceeded, 0 to 1,000. */
  readonly workersMax?: number;
  /** Queue wait that 95 of 100 actions should not exceed, in ms. */
  readonly targetWaitMs?: number;
  /** A machine may go once idle for so long, in ms. */
  readonly idleMs?: number;
  /** Lines as `parseSchedule` reads them. */
  readonly schedules?: readonly string[];
  /** Machines on demand before any is spot. */
  readonly onDemandBase?: number;
  readonly spot?: boolean;
  /** As `parseCloudConfig` reads it; `local` is this host's own worker processes. */
  readonly provider?: Readonly<Record<string, unknown>>;
  /** Machines that somebody wants kept until `--release`. */
  readonly floor?: number;
}

/** Bounds of numbers. */
export const wishBounds = {
  workersMax: 1_000,
  waitMsMax: 3_600_000,
  idleMsMax: 86_400_000,
  schedulesMax: 32,
};

/** Bound: bytes of the file, and of what `configure` sends. */
const bytesMax = 256 << 10;
/** Machines of a cloud that nobody gave a maximum for. */
const cloudWorkersMax = 10;

/** The file below a store's folder. */
function fileOf(store: string): string {
  return join(store, "scaling.json");
}

/** What is kept for the node of a store. DATA_LOSS names a damaged file. */
export function loadWishes(store: string): ScalingWishes {
  const bytes = readWhole(fileOf(store));
  if (bytes === undefined) return {};
  try {
    return parseWishes(Buffer.from(bytes).toString());
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `${fileOf(store)} is damaged (${why}). Remove it and run \`builder remote configure\` again.`;
    throw new MeshError("DATA_LOSS", message, { cause });
  }
}

/** Keeps it. */
export function saveWishes(store: string, wishes: ScalingWishes): void {
  mkdirSync(store, { recursive: true, mode: 0o700 });
  writeJson(fileOf(store), wishes);
}

/** Reads wishes from JSON. INVALID_ARGUMENT says what is wrong. */
export function parseWishes(json: string): ScalingWishes {
  if (json.length > bytesMax) throw wrong("The configuration is too long.");
  const { workersMax, waitMsMax, idleMsMax, schedulesMax } = wishBounds;
  const given = objectOf(json);
  const { autoscale, schedules, spot, provider } = given;
  const isMode = autoscale === "off" || autoscale === "advise" || autoscale === "on";
  if (autoscale !== undefined && !isMode) throw wrong("--autoscale wants off, advise or on.");
  if (spot !== undefined && typeof spot !== "boolean") throw wrong("--spot is said or not.");
  const min = numberOf(given, "workersMin", "--workers-min", 0, workersMax);
  const max = numberOf(given, "workersMax", "--workers-max", 0, workersMax);
  if (min !== undefined && max !== undefined && min > max) {
    throw wrong(`--workers-max ${max} is below --workers-min ${min}. Raise it or lower that.`);
  }
  const lines = linesOf(schedules, schedulesMax);
  const numbers = {
    workersMin: min,
    workersMax: max,
    targetWaitMs: numberOf(given, "targetWaitMs", "--target-wait", 100, waitMsMax),
    idleMs: numberOf(given, "idleMs", "--idle-time", 100, idleMsMax),
    onDemandBase: numberOf(given, "onDemandBase", "--on-demand-base", 0, workersMax),
    floor: numberOf(given, "floor", "--workers", 0, workersMax),
  };
  return {
    ...defined(numbers),
    ...(isMode ? { autoscale } : {}),
    ...(typeof spot === "boolean" ? { spot } : {}),
    ...(lines === undefined ? {} : { schedules: lines }),
    ...(provider === undefined ? {} : { provider: providerOf(provider) }),
  };
}

/** The cloud that is configured, if it is this one. FAILED_PRECONDITION tells how to do that. */
export function configuredCloud(wishes: ScalingWishes, cloud: CloudName): CloudConfig {
  if (wishes.provider?.["provider"] === cloud) return parseCloudConfig(wishes.provider);
  throw new MeshError(
    "FAILED_PRECONDITION",
    `--cloud ${cloud} wants to be configured first: builder remote configure --provider ${cloud} …`,
  );
}

/** The size of a fleet as its owner wants it. INVALID_ARGUMENT where it cannot be. */
export function fleetSize(
  wishes: ScalingWishes,
  cloud: CloudName | undefined,
): { readonly mode: ScalingMode; readonly min: number; readonly max: number } {
  const mode = wishes.autoscale ?? (cloud === undefined ? "off" : "on");
  const min = wishes.workersMin ?? Math.min(2, wishes.workersMax ?? 2);
  const most = cloud === undefined ? availableParallelism() : cloudWorkersMax;
  const max = wishes.workersMax ?? Math.max(min, mode === "off" ? 2 : most);
  if (max >= min) return { mode, min, max };
  throw wrong(`--workers-max ${max} is below --workers-min ${min}. Raise it or lower that.`);
}

/** What counts at a time of day. A floor, and what a schedule keeps, are part of the minimum. */
export function scalingSettings(
  wishes: ScalingWishes,
  cloud: CloudName | undefined,
  at: Date,
): ScalingSettings {
  const { mode, min, max } = fleetSize(wishes, cloud);
  const scheduled = scheduledMinimum((wishes.schedules ?? []).map(parseSchedule), at);
  const floor = wishes.floor ?? 0;
  const { onDemandBase, spot, targetWaitMs, idleMs } = { ...scalingDefaults, ...wishes };
  // Nobody who schedules expects to exceed the maximum; who asks for a number of machines now does.
  const kept = Math.max(min, Math.min(max, scheduled), floor);
  const bounds = { onDemandBase, spot, targetWaitMs, idleMs, min: kept, max: Math.max(max, floor) };
  return { mode, bounds };
}

function objectOf(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Said below.
  }
  throw wrong("The configuration is no JSON object.");
}

function numberOf(
  given: Readonly<Record<string, unknown>>,
  key: keyof ScalingWishes,
  flag: string,
  min: number,
  max: number,
): number | undefined {
  const value = given[key];
  if (value === undefined) return undefined;
  const isWhole = typeof value === "number" && Number.isInteger(value);
  if (isWhole && value >= min && value <= max) return value;
  throw wrong(`${flag} is out of range: ${min} to ${max}.`);
}

function linesOf(value: unknown, most: number): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length > most) {
    throw wrong(`--schedule may be said at most ${most} times.`);
  }
  return value.map((line: unknown) => {
    if (typeof line !== "string") throw wrong("--schedule wants text.");
    parseSchedule(line);
    return line.trim();
  });
}

function providerOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const provider: Readonly<Record<string, unknown>> = isObject ? { ...value } : {};
  if (provider["provider"] === "local" && Object.keys(provider).length === 1) return provider;
  if (provider["provider"] === "local") {
    throw wrong("--provider local takes no settings of a cloud. Leave them out.");
  }
  parseCloudConfig(provider);
  return provider;
}

function defined<T extends Readonly<Record<string, number | undefined>>>(
  values: T,
): { [K in keyof T]?: number } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: number };
}

function wrong(message: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", message);
}
