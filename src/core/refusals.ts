// The sentences an ingress fails actions with: what is wrong and what to do about it.

import type { PeerId } from "./action.ts";
import type { Failure } from "./error.ts";
import { kitOfToolchain, toolchainProperty } from "./house-toolchain.ts";
import type { Load } from "./message.ts";
import { networkProperty } from "./network-policy.ts";
import { type Offering, offered, satisfies } from "./roster.ts";

/** One attempt that was lost: who had it and what happened. */
export interface LostAttempt {
  readonly peer: PeerId;
  readonly worker: string;
  readonly why: string;
}

/** Distinct values named in one message. */
const valuesShownMax = 8;

/** Nobody to run anything: UNAVAILABLE, because a worker may join any time. */
export function noWorkers(waitedMs: number): Failure {
  return {
    code: "UNAVAILABLE",
    message:
      `No workers available: none was linked for ${Math.round(waitedMs / 1000)} s. ` +
      "Serve with --workers-min above 0, raise --workers-max, or start a worker that joins here.",
  };
}

/**
 * Workers, but none with these properties: FAILED_PRECONDITION, as another try ends alike.
 * Undefined where one has them all, and where there is no worker to compare with.
 */
export function noSuchWorker(
  properties: Readonly<Record<string, string>>,
  loads: readonly Offering[],
): Failure | undefined {
  if (loads.length === 0 || loads.some((load) => satisfies(load, properties))) return undefined;
  const wanted = Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1));
  const missing = wanted.find(
    ([name, value]) => !loads.some((load) => offered(load, name).includes(value)),
  );
  const remedy =
    "Change the action's platform properties (exec_properties), or link a worker that has them.";
  if (missing === undefined) {
    const all = wanted.map(([name, value]) => `${name}=${value}`).join(", ");
    const message = `No single worker has all of ${all}, though each is offered. ${remedy}`;
    return { code: "FAILED_PRECONDITION", message };
  }
  const [name, value] = missing;
  if (name === toolchainProperty) return noSuchToolchain(value, loads);
  if (name === networkProperty) return noNetwork;
  const values = [...new Set(loads.flatMap((load) => offered(load, name)))].sort();
  const shown = values.slice(0, valuesShownMax).join(", ");
  const more = values.length > valuesShownMax ? ` and ${values.length - valuesShownMax} more` : "";
  const offer = values.length === 0 ? `no ${name} at all` : `${name}=${shown}${more}`;
  return {
    code: "FAILED_PRECONDITION",
    message: `No worker has the platform property ${name}=${value}; they offer ${offer}. ${remedy}`,
  };
}

/** No machine's owner lets actions use the network: the action asks for what it cannot have. */
const noNetwork: Failure = {
  code: "INVALID_ARGUMENT",
  message:
    "The action asks for the network (hermetic.network, platform property builder.network), and " +
    "the policy of every node with workers is to give none (--action-limits network=off, which is " +
    "usual after builder join). Remove hermetic.network, or have an owner say network=on.",
};

/** Names the wanted toolchain and those that there are of its kind. */
function noSuchToolchain(wanted: string, loads: readonly Offering[]): Failure {
  const kit = kitOfToolchain(wanted);
  const all = new Set(loads.flatMap((load) => offered(load, toolchainProperty)));
  const theirs = [...all].filter((name) => kitOfToolchain(name) === kit).sort();
  const shown = theirs.slice(0, valuesShownMax).join(", ");
  const have = theirs.length === 0 ? `none of ${kit}` : shown;
  return {
    code: "FAILED_PRECONDITION",
    message:
      `No worker has the toolchain ${wanted}; they have ${have}. Install the same tools there, ` +
      "or name what they have (toolchain: in the Builderfile, toolchain among exec_properties); " +
      'say "any" only where the result does not depend on the system\'s tools.',
  };
}

/** Adds to a failure that workers of other hosts, whose loads these are, could run the action. */
export function elsewhere(
  failure: Failure,
  properties: Readonly<Record<string, string>>,
  loads: readonly Load[],
): Failure {
  const able = loads.filter((load) => satisfies(load, properties)).map(({ name }) => name);
  const [first] = able.sort();
  if (first === undefined) return failure;
  const who = able.length === 1 ? first : `${first} and ${able.length - 1} more workers`;
  const message =
    `${failure.message} Or serve with --work-stealing, ` +
    `which would let ${who} of other hosts run it.`;
  return { ...failure, message };
}

/** The table is full: RESOURCE_EXHAUSTED, because it empties by itself. */
export function tooManyPending(pendingMax: number): Failure {
  return {
    code: "RESOURCE_EXHAUSTED",
    message:
      `This node already keeps ${pendingMax} unfinished actions. ` +
      "Try again later, or lower the client's number of jobs.",
  };
}

/** The node is leaving: UNAVAILABLE, another one may take it. */
export function leaving(): Failure {
  return {
    code: "UNAVAILABLE",
    message: "This node is shutting down and takes no new actions. Try again or use another node.",
  };
}

/** Every attempt was lost: INTERNAL, with the list. */
export function attemptsSpent(attempts: readonly LostAttempt[]): Failure {
  const list = attempts.map(({ worker, why }, index) => `${index + 1}. ${worker}: ${why}`);
  return {
    code: "INTERNAL",
    message:
      `The action was lost ${attempts.length} times and is not tried again: ${list.join("; ")}. ` +
      "See the workers' logs; if it kills them, lower its memory or their slots.",
  };
}
