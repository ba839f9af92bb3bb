// What an action may use: its platform properties and timeout, within the node's ceilings.
//
// `builder.*` properties are options for the worker, not demands that select one; the ingress
// leaves them out of matching. The names are documented in docs/features/hermetic.md.

import { MeshError } from "../core/error.ts";
import type { SandboxLimits } from "../sandbox/sandbox.ts";

/** Defaults for actions that ask for nothing, and ceilings for those that ask for much. */
export interface LimitOptions {
  /** Wall time in ms for an action without a timeout. */
  readonly wallMsDefault: number;
  /** Memory in bytes for an action that does not say. */
  readonly memoryBytesDefault: number;
  /** Cores for an action that does not say. */
  readonly cpusDefault: number;
  /** Processes and threads of one action. */
  readonly pidsMax: number;
  /** Largest file an action may write, stdout and stderr included, in bytes. */
  readonly fileBytesMax: number;
}

/** What one action asked for, read from its platform properties. */
export interface ActionLimits {
  readonly limits: SandboxLimits;
  readonly network: boolean;
}

/**
 * Reads limits from an action. INVALID_ARGUMENT names a property with a bad value.
 * `timeoutMs` is REAPI `Action.timeout`, undefined where the client set none.
 */
export function readActionLimits(
  properties: ReadonlyMap<string, string>,
  timeoutMs: number | undefined,
  options: LimitOptions,
): ActionLimits {
  const memoryBytes = positive(properties, "builder.max_memory") ?? options.memoryBytesDefault;
  const cpus = positive(properties, "builder.max_cpu") ?? options.cpusDefault;
  return {
    limits: {
      wallMs: timeoutMs ?? options.wallMsDefault,
      memoryBytes: Math.ceil(memoryBytes),
      cpus,
      pids: options.pidsMax,
      fileBytes: options.fileBytesMax,
    },
    network: networkWanted(properties),
  };
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

function networkWanted(properties: ReadonlyMap<string, string>): boolean {
  // `network` is the name BuildStream uses; `builder.network` is ours.
  const text = properties.get("builder.network") ?? properties.get("network");
  if (text === undefined || text === "off") return false;
  if (text === "on") return true;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Platform property builder.network wants "on" or "off", not "${text}".`,
  );
}
