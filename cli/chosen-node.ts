// Where a build's actions run: on this machine, on a node, or on a node just for this build.

import { availableParallelism } from "node:os";
import type { ActionExecutor, Place } from "../src/build/executor.ts";
import { defaultStore } from "../src/node/config.ts";
import type { LocalExecutor } from "../src/node/local-executor.ts";
import type { BuildFlags } from "./build-flags.ts";
import { workerProgram } from "./worker-program.ts";

/** Where actions run. */
export interface ChosenNode {
  /** Address of the node; undefined for this machine. */
  readonly address: string | undefined;
  executorFor(place: Place): Promise<ActionExecutor>;
  /** This machine's own executor. */
  local(): Promise<LocalExecutor>;
  close(): Promise<void>;
}

const defaultNode = "127.0.0.1:9000";
const localStoreBytesMax = 10 * 2 ** 30;

/** Chooses by the flags; nothing is opened or loaded before the first action must run. */
export async function chooseNode(flags: BuildFlags): Promise<ChosenNode> {
  const local = once(async () => {
    const { createLocalExecutor } = await import("../src/node/local-executor.ts");
    return createLocalExecutor(
      { now: Date.now },
      {
        store: flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]),
        storeBytesMax: localStoreBytesMax,
        sandbox: flags.sandbox ?? "auto",
        slots: availableParallelism(),
      },
    );
  });
  if (flags.remote === undefined) {
    return {
      address: undefined,
      executorFor: local.get,
      local: local.get,
      close: () => local.close((executor) => executor.close()),
    };
  }
  const own = flags.remote === "local" ? await startOwnNode(flags) : undefined;
  const address = own?.address ?? (flags.remote === true ? defaultNode : flags.remote);
  const remote = once(async () => {
    const { createRemoteExecutor } = await import("../src/build/remote-executor.ts");
    const { software } = await import("../src/node/version.ts");
    const { readEndpoint } = await import("../src/build/endpoint.ts");
    const token = own === undefined ? process.env["BUILDER_TOKEN"] : undefined;
    const endpoint = readEndpoint(address, flags, token);
    return createRemoteExecutor(endpoint, software, async () => {
      const { openHostStore } = await import("../src/node/host-store.ts");
      const folder = flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]);
      return openHostStore({ now: Date.now }, { folder, bytesMax: localStoreBytesMax });
    });
  });
  return {
    address,
    executorFor: (place) => (place.remote ? remote.get() : local.get()),
    local: local.get,
    close: async () => {
      await remote.close((executor) => executor.close());
      await local.close((executor) => executor.close());
      await own?.stop();
    },
  };
}

/** `--remote=local`: a serving node with a single worker, for the time of this build. */
async function startOwnNode(flags: BuildFlags) {
  const { serve } = await import("../src/node/serve.ts");
  const { resolveServeConfig } = await import("../src/node/config.ts");
  const { createLog } = await import("../src/telemetry/logger.ts");
  const log = createLog((line) => process.stderr.write(line), "warn");
  const cacheHome = process.env["XDG_CACHE_HOME"];
  const config = resolveServeConfig({
    coordinator: { host: "127.0.0.1", port: 0 },
    workersMin: 1,
    workersMax: 1,
    slots: availableParallelism(),
    logLevel: "warn",
    ...(flags.store === undefined ? {} : { store: flags.store }),
    ...(flags.sandbox === undefined ? {} : { sandbox: flags.sandbox }),
    ...(cacheHome === undefined ? {} : { cacheHome }),
  });
  const node = await serve({ log, now: Date.now, workerProgram }, config);
  return { address: node.coordinator, stop: () => node.drain() };
}

/** Makes a thing when first asked for, and undoes it only if it was made. */
function once<T>(make: () => Promise<T>) {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= make();
      return made;
    },
    close: async (undo: (thing: T) => Promise<void>) => {
      if (made !== undefined) await made.then(undo);
    },
  };
}
