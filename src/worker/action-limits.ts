// What an action may use: its platform properties and timeout, within the node's ceilings.
//
// `builder.*` properties are options for the worker, not demands that select one; the ingress
// leaves them out of matching. The names are documented in docs/features/hermetic.md.

import { MeshError } from "../core/error.ts";
import { networkAsked, networkGiven } from "../core/network-policy.ts";
import type { SandboxLimits } from "../sandbox/sandbox.ts";
import { formatSize } from "./limit-text.ts";

/** What an action can ask for, each by a name of its own. */
export type AskableLimits = Omit<SandboxLimits, "fileBytes">;

/** Defaults for actions that ask for nothing, and ceilings for those that ask for much. */
export interface LimitOptions {
  /** What an action gets that does not say; one without `tmpBytes` gets as much as its memory. */
  readonly defaults: Omit<AskableLimits, "tmpBytes">;
  /** The most that any action may have; what is not named here has no end. */
  readonly ceilings: LimitCeilings;
}

/** The most that a node lets actions have. */
export type LimitCeilings = { readonly [Limit in keyof AskableLimits]?: number | undefined } & {
  /** False where no action may use the network of this host, its loopback included. */
  readonly network?: boolean | undefined;
};

/** How one limit is spoken of. */
export interface LimitName {
  readonly limit: keyof AskableLimits;
  /** The field of `hermetic`; the platform property is `builder.` and this, but for `timeout`. */
  readonly field: string;
  readonly unit: "bytes" | "ms" | "cores" | "count";
}

/** Every limit that an action can ask for. */
export const limitNames: readonly LimitName[] = [
  { limit: "wallMs", field: "timeout", unit: "ms" },
  { limit: "memoryBytes", field: "max_memory", unit: "bytes" },
  { limit: "cpus", field: "max_cpu", unit: "cores" },
  { limit: "pids", field: "max_processes", unit: "count" },
  { limit: "openFiles", field: "max_open_files", unit: "count" },
  { limit: "outputBytes", field: "max_output", unit: "bytes" },
  { limit: "outputFiles", field: "max_output_files", unit: "count" },
  { limit: "tmpBytes", field: "max_tmp", unit: "bytes" },
  { limit: "tmpFiles", field: "max_tmp_files", unit: "count" },
  { limit: "logBytes", field: "max_log", unit: "bytes" },
];

/** What one action asked for, read from its platform properties. */
export interface ActionLimits {
  readonly limits: SandboxLimits;
  readonly network: boolean;
}

/**
 * Reads limits from an action. INVALID_ARGUMENT names a property with a bad value, and one that
 * asks for more than this node gives (as REAPI has it for `Action.timeout`).
 * `timeoutMs` is that timeout, undefined where the client set none.
 */
export function readActionLimits(
  properties: ReadonlyMap<string, string>,
  timeoutMs: number | undefined,
  { defaults, ceilings }: LimitOptions,
): ActionLimits {
  const asked = new Map<keyof AskableLimits, number>();
  for (const name of limitNames) {
    const { limit, field } = name;
    const value = limit === "wallMs" ? timeoutMs : positive(properties, `builder.${field}`);
    if (value === undefined) continue;
    checkCeiling(name, value, ceilings[limit]);
    asked.set(limit, limit === "cpus" ? value : Math.ceil(value));
  }
  const take = (limit: keyof AskableLimits, usual: number) =>
    asked.get(limit) ?? Math.min(usual, ceilings[limit] ?? usual);
  const memoryBytes = take("memoryBytes", defaults.memoryBytes);
  const outputBytes = take("outputBytes", defaults.outputBytes);
  return {
    limits: {
      wallMs: take("wallMs", defaults.wallMs),
      memoryBytes,
      cpus: take("cpus", defaults.cpus),
      pids: take("pids", defaults.pids),
      openFiles: take("openFiles", defaults.openFiles),
      // No file is larger than all of them together may be.
      fileBytes: outputBytes,
      outputBytes,
      outputFiles: take("outputFiles", defaults.outputFiles),
      tmpBytes: take("tmpBytes", memoryBytes),
      tmpFiles: take("tmpFiles", defaults.tmpFiles),
      logBytes: take("logBytes", defaults.logBytes),
    },
    network: networkWanted(properties, ceilings.network ?? true),
  };
}

function checkCeiling({ field, unit }: LimitName, value: number, ceiling: number | undefined) {
  if (ceiling === undefined || value <= ceiling) return;
  const text = (amount: number) => {
    if (unit === "bytes") return formatSize(amount);
    return unit === "ms" ? `${amount} ms` : `${amount}`;
  };
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The action asks for ${field} ${text(value)}, and this worker gives at most ${text(ceiling)} ` +
      `(--action-limits). Lower hermetic.${field}, or raise the worker's.`,
  );
}

function positive(properties: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = properties.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^[0-9]+(\.[0-9]+)?$/.test(text) && value > 0 && Number.isFinite(value)) return value;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Platform property ${name} wants a number above 0, not "${text}".`,
  );
}

function networkWanted(properties: ReadonlyMap<string, string>, isGiven: boolean): boolean {
  const text = networkAsked(properties);
  if (text === undefined || text === "off") return false;
  if (text === networkGiven) {
    if (isGiven) return true;
    throw new MeshError(
      "INVALID_ARGUMENT",
      "The action asks for the network, and this worker's node gives none (--action-limits " +
        "network=off). Remove hermetic.network, or have the node's owner say network=on.",
    );
  }
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Platform property builder.network wants "on" or "off", not "${text}".`,
  );
}
