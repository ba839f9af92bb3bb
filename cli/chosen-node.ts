// Where a build's actions run: on this machine, on a node, or on a node just for this build.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ActionExecutor, Place } from "../src/build/executor.ts";
import type { RacingDeps } from "../src/build/racing-executor.ts";
import { cacheFolder, defaultStore } from "../src/node/config.ts";
import type { LocalExecutor } from "../src/node/local-executor.ts";
import type { SandboxFor } from "../src/node/local-runner.ts";
import { printable } from "../src/telemetry/logger.ts";
import type { BuildFlags } from "./build-flags.ts";
import { findNode, listens, rememberNode, usualNode } from "./find-node.ts";
import { pageFolder } from "./page-folder.ts";
import { workerProgram } from "./worker-program.ts";

/** Where actions run. */
export interface ChosenNode {
  /** Address of the node, or of several of which any does; undefined for this machine. */
  readonly address: string | undefined;
  executorFor(place: Place): Promise<ActionExecutor>;
  /** This machine's own executor. */
  local(): Promise<LocalExecutor>;
  close(): Promise<void>;
}

const localStoreBytesMax = 10 * 2 ** 30;
/** How long an action waits in a node's queue before an idle slot here takes it too (`auto`). */
const patienceMs = 300;

/** The flags, and the node that `--remote` without an address means; undefined for the usual. */
export type NodeFlags = BuildFlags & {
  readonly defaultNode: string | undefined;
  /** Actions that run on this machine at once. */
  readonly atOnce: number;
};

/**
 * Chooses by the flags; nothing is opened or loaded before the first action must run. `say` hears
 * when `auto` gives a node up.
 */
export async function chooseNode(
  flags: NodeFlags,
  say: (text: string) => void,
): Promise<ChosenNode> {
  const local = once(() => openLocal(flags));
  if (flags.remote === undefined) {
    return {
      address: undefined,
      executorFor: local.get,
      local: local.get,
      close: () => local.close((executor) => executor.close()),
    };
  }
  const own = flags.remote === "local" ? await startOwnNode(flags) : undefined;
  const address = own?.address ?? (await namedNode(flags));
  const token = own === undefined ? process.env["BUILDER_TOKEN"] : undefined;
  const openThere = () => openRemote(address, flags, { token, say, isOwn: own !== undefined });
  const remote = once(openThere);
  const away = (reason: string) => {
    say(`[INFO] Building on this machine: the node at ${address} is away (${printable(reason)})\n`);
  };
  const both = once(() => openBoth({ remote: remote.get, local: local.get, away }));
  const there = flags.remote === "auto" ? both : remote;
  return {
    address,
    executorFor: (place) => (place.remote ? there.get() : local.get()),
    local: local.get,
    close: async () => {
      await remote.close((executor) => executor.close());
      await local.close((executor) => executor.close());
      await own?.stop();
    },
  };
}

function storeOf(flags: Pick<BuildFlags, "store">): string {
  return flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]);
}

/** This machine's executor; `sandboxFor` names another sandbox than the usual one. */
export async function openLocal(
  flags: Pick<NodeFlags, "store" | "sandbox" | "atOnce">,
  sandboxFor?: SandboxFor,
): Promise<LocalExecutor> {
  const { createLocalExecutor } = await import("../src/node/local-executor.ts");
  return createLocalExecutor(
    { now: Date.now, sandboxFor },
    {
      store: storeOf(flags),
      storeBytesMax: localStoreBytesMax,
      sandbox: flags.sandbox ?? "auto",
      slots: availableParallelism(),
      atOnce: flags.atOnce,
    },
  );
}

async function openRemote(
  address: string,
  flags: BuildFlags,
  how: {
    readonly token: string | undefined;
    readonly say: (text: string) => void;
    /** Started for this build: not worth remembering. */
    readonly isOwn: boolean;
  },
): Promise<ActionExecutor> {
  const { createRemoteExecutor } = await import("../src/build/remote-executor.ts");
  const { software } = await import("../src/node/version.ts");
  const { readEndpoints } = await import("../src/build/endpoint.ts");
  const endpoints = readEndpoints(address, flags, how.token);
  return createRemoteExecutor(
    {
      openStore: async () => {
        const { openHostStore } = await import("../src/node/host-store.ts");
        const options = { folder: storeOf(flags), bytesMax: localStoreBytesMax };
        return openHostStore({ now: Date.now }, options);
      },
      onGone: (from, to) => {
        how.say(`[WARN] ${from.address} is gone; going on at ${to.address}\n`);
      },
      onReached: () => {
        if (!how.isOwn) rememberNode(lastFile(), address);
      },
    },
    endpoints,
    software,
  );
}

function lastFile(): string {
  return join(cacheFolder(process.env["XDG_CACHE_HOME"]), "last-node");
}

/** What the flag names, or the node that is found; `auto` builds here where there is none. */
async function namedNode(flags: NodeFlags): Promise<string> {
  const { remote } = flags;
  if (typeof remote === "string" && remote !== "auto") return remote;
  try {
    return await findNode({
      wanted: process.env["BUILDER_REMOTE"],
      space: flags.defaultNode,
      store: storeOf(flags),
      lastFile: lastFile(),
      findOnLan: async (ms) => {
        // Only here, because it loads what most builds do not need.
        const { findNodesToBuildOn } = await import("../src/node/lan.ts");
        return findNodesToBuildOn(() => undefined, ms);
      },
      answers: listens,
    });
  } catch (error) {
    if (remote === "auto") return usualNode;
    throw error;
  }
}

/** `--remote=auto`. */
async function openBoth(places: Omit<RacingDeps, "after">): Promise<ActionExecutor> {
  const { createRacingExecutor } = await import("../src/build/racing-executor.ts");
  const after = (ms: number, then: () => void) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  };
  return createRacingExecutor({ ...places, after }, { slots: availableParallelism(), patienceMs });
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
    findable: false,
    ...(flags.store === undefined ? {} : { store: flags.store }),
    ...(flags.sandbox === undefined ? {} : { sandbox: flags.sandbox }),
    ...(cacheHome === undefined ? {} : { cacheHome }),
  });
  const node = await serve({ log, now: Date.now, workerProgram, pageFolder }, config);
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
