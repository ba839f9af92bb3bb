// Executes a build's actions on this machine, without a node: the same store, cache, sandbox and
// executor that a worker has. Only the store is opened, and only its code loaded, until an action
// must be executed or looked up: to put back an output that was deleted takes no more.

import type { ActionExecutor } from "../build/executor.ts";
import { placeFile } from "../build/place-file.ts";
import { openStore } from "../cas/open-store.ts";
import type { LocalRunner, LocalRunnerOptions, SandboxFor } from "./local-runner.ts";

/** Where and how actions run on this machine. */
export interface LocalExecutorOptions extends LocalRunnerOptions {
  readonly storeBytesMax: number;
}

/** An executor that can also let a user in. */
export type LocalExecutor = ActionExecutor & Pick<LocalRunner, "enter">;

const blobBytesMax = 64 << 20;

/** Opens the host's store. Equal actions of one build are never in flight twice. */
export async function createLocalExecutor(
  deps: { readonly now: () => number; readonly sandboxFor?: SandboxFor | undefined },
  options: LocalExecutorOptions,
): Promise<LocalExecutor> {
  const store = openStore(deps, { folder: options.store, bytesMax: options.storeBytesMax });
  let runner: Promise<LocalRunner> | undefined;

  async function openRunner(): Promise<LocalRunner> {
    const { createLocalRunner } = await import("./local-runner.ts");
    return createLocalRunner({ ...deps, store }, options);
  }

  function opened(): Promise<LocalRunner> {
    runner ??= openRunner();
    return runner;
  }

  return {
    execute: async (action, call) => (await opened()).execute(action, call),
    enter: async (action, entering) => (await opened()).enter(action, entering),
    get: (digest) => store.blobs.get(digest, blobBytesMax),
    download: (digest, path, file) => placeFile(path, store.blobs.read(digest), file),
    close: async () => {
      await (await runner)?.close();
      await store.close();
    },
  };
}
