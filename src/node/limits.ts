// What an action may use when it does not say, on this machine, and the most that it may ask for.

import { availableParallelism, totalmem } from "node:os";
import { parseDuration, parseSize } from "../builderfile/quantity.ts";
import { MeshError } from "../core/error.ts";
import {
  type LimitCeilings,
  type LimitName,
  type LimitOptions,
  limitNames,
} from "../worker/action-limits.ts";

/**
 * Defaults for a worker with `slots` slots, without ceilings. Memory is the machine's, so that one
 * action fits.
 */
export function defaultLimits(slots: number): LimitOptions {
  return {
    defaults: {
      wallMs: 3_600_000,
      memoryBytes: Math.max(512 * 2 ** 20, Math.floor(totalmem() / Math.max(1, slots))),
      cpus: availableParallelism(),
      pids: 1024,
      openFiles: 65_536,
      outputBytes: 16 * 2 ** 30,
      outputFiles: 1_000_000,
      tmpFiles: 1_000_000,
      logBytes: 64 * 2 ** 20,
    },
    ceilings: {},
  };
}

/**
 * Reads ceilings such as `max_memory=8GiB,network=off`: fields of `hermetic`, each at most once.
 * INVALID_ARGUMENT names what is wrong.
 */
export function parseActionLimits(text: string): LimitCeilings {
  const ceilings: { -readonly [Limit in keyof LimitCeilings]: LimitCeilings[Limit] } = {};
  for (const part of text.split(",")) {
    const [field = "", amount = ""] = part.split("=").map((word) => word.trim());
    if (field === "network") {
      if (ceilings.network !== undefined) throw invalid("It names network twice.");
      ceilings.network = parseNetwork(amount);
      continue;
    }
    const name = limitNames.find((one) => one.field === field);
    if (name === undefined) {
      const known = [...limitNames.map((one) => one.field), "network"].join(", ");
      throw invalid(`There is no limit ${JSON.stringify(field)}. There are ${known}.`);
    }
    if (ceilings[name.limit] !== undefined) throw invalid(`It names ${field} twice.`);
    ceilings[name.limit] = parseAmount(name, amount);
  }
  return ceilings;
}

function parseNetwork(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw invalid(`network wants on or off, not ${JSON.stringify(text)}.`);
}

const examples: Readonly<Record<LimitName["unit"], string>> = {
  bytes: "a size such as 8GiB",
  ms: "a duration such as 2h",
  cores: "a number above 0",
  count: "a whole number above 0",
};

function parseAmount({ field, unit }: LimitName, text: string): number {
  const value = amountOf(unit, text);
  if (value !== undefined && value > 0) return value;
  throw invalid(`${field} wants ${examples[unit]}, not ${JSON.stringify(text)}.`);
}

function amountOf(unit: LimitName["unit"], text: string): number | undefined {
  if (unit === "bytes") return parseSize(text);
  if (unit === "ms") return parseDuration(text);
  const shape = unit === "cores" ? /^\d{1,6}(\.\d{1,3})?$/ : /^\d{1,12}$/;
  return shape.test(text) ? Number(text) : undefined;
}

function invalid(message: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", message);
}
