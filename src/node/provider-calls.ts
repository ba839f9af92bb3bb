// Does with a provider what the core wants done, and tells the core what came of it. Before a
// launch leaves this process its token is on disk; whatever is not answered in time counts as not
// known.

import type { Provider } from "../cloud/provider.ts";
import { failureOf } from "../core/error.ts";
import type { Input } from "../core/machine.ts";
import type { ProviderEffect } from "../core/provided-options.ts";
import type { Log } from "../telemetry/logger.ts";
import type { BegunLaunches } from "./begun-launches.ts";

/** What the calls work with. */
export interface ProviderCallsDeps {
  readonly provider: Provider;
  readonly begun: BegunLaunches;
  /** A one-use invitation that lives so long, in ms; throws where this node cannot invite. */
  readonly invite: (expiresInMs: number) => string;
  /** False from the moment on at which this node may not scale the mesh any more. */
  readonly mayScale: () => boolean;
  readonly push: (input: Input) => void;
  readonly log: Log;
}

/** Times of the machines that are started, and of calls. */
export interface ProviderCallOptions {
  /** A machine ends itself where it has not joined by then, in ms after its start. */
  readonly joinWithinMs: number;
  /** It ends itself after so long without a mesh and without work, in ms. */
  readonly aloneMsMax: number;
  /** A call without an answer is given up after so many ms. */
  readonly callMs: number;
}

/** The defaults. */
export const providerCallDefaults: ProviderCallOptions = {
  joinWithinMs: 300_000,
  aloneMsMax: 600_000,
  callMs: 60_000,
};

/** A provider at work. */
export interface ProviderCalls {
  perform(effect: ProviderEffect): void;
  /** Gives up calls under way and closes the provider. */
  close(): Promise<void>;
}

/** Starts nothing by itself. */
export function createProviderCalls(
  deps: ProviderCallsDeps,
  options: ProviderCallOptions = providerCallDefaults,
): ProviderCalls {
  const { provider, begun, push, log } = deps;
  const closing = new AbortController();
  const call = () => ({
    signal: AbortSignal.any([closing.signal, AbortSignal.timeout(options.callMs)]),
  });

  async function provide({ token, market }: ProviderEffect & { kind: "provide" }): Promise<void> {
    const { joinWithinMs, aloneMsMax } = options;
    try {
      // The invitation outlives the boot, for the machine may ask again.
      const invitation = deps.invite(2 * joinWithinMs);
      if (!deps.mayScale()) return;
      begun.begin({ token, market });
      const boot = { invitation, name: token, joinWithinMs, aloneMsMax };
      const { id } = await provider.launch({ token, market, boot }, call());
      // It stays written down until the provider lists it: lists lag behind, and a node that starts
      // again in between would think that there is no such machine.
      push({ kind: "provided", token, id });
    } catch (error) {
      const failure = failureOf(error);
      // Whether it started something is known for certain only where the provider refused.
      const isOpen = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"].includes(failure.code);
      if (!isOpen) begun.end([token]);
      const { message } = failure;
      push({
        kind: "unprovided",
        token,
        failure: isOpen ? { code: "UNAVAILABLE", message } : failure,
      });
    }
  }

  async function list(): Promise<void> {
    try {
      const machines = await provider.list(call());
      begun.end(machines.map(({ token }) => token));
      push({ kind: "listed", machines });
    } catch (error) {
      push({ kind: "unlisted", failure: failureOf(error) });
    }
  }

  async function dismiss(ids: readonly string[]): Promise<void> {
    if (!deps.mayScale()) return;
    try {
      await provider.terminate(ids, call());
    } catch (error) {
      // The next list shows that they are still there, and it is tried again.
      log("warn", `${provider.name} did not end ${ids.join(", ")}: ${failureOf(error).message}`);
    }
  }

  return {
    perform: (effect) => {
      if (effect.kind === "provide") void provide(effect);
      else if (effect.kind === "list") void list();
      else void dismiss(effect.ids);
    },
    close: async () => {
      closing.abort();
      await provider.close();
    },
  };
}
