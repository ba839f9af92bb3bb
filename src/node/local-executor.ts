// Executes a build's actions on this machine, without a node: the same store, cache, sandbox and
// executor that a worker has. Only the store is opened, and only its code loaded, until an action
// must be executed or looked up: to put back an output that was deleted takes no more.

import type { ActionExecutor } from "../build/executor.ts";
import { placeFile } from "../build/place-file.ts";
import { openStore } from "../cas/open-store.ts";
import type { createLocalRunner, LocalRunnerOptions } from "./local-runner.ts";

type LocalRunner = Awaited<ReturnType<typeof createLocalRunner>>;

/** Where and how actions run on this machine. */
export interface LocalExecutorOptions extends LocalRunnerOptions {
  readonly storeBytesMax: number;
}

const blobBytesMax = 64 << 20;

/** Opens the host's store. Equal actions of one build are never in flight twice. */
export async function createLocalExecutor(
  deps: { readonly now: () => number },
  options: LocalExecutorOptions,
): Promise<ActionExecutor> {
  const store = openStore(deps, { folder: options.store, bytesMax: options.storeBytesMax });
  let runner: Promise<LocalRunner> | undefined;

  async function openRunner(): Promise<LocalRunner> {
    const { createLocalRunner } = await import("./local-runner.ts");
    return createLocalRunner({ ...deps, store }, options);
  }

  return {
    execute: async (action, call) => {
      runner ??= openRunner();
      return (await runner).execute(action, call);
    },
    get: (digest) => store.blobs.get(digest, blobBytesMax),
    download: (digest, path, file) => placeFile(path, store.blobs.read(digest), file),
    close: async () => {
      await (await runner)?.close();
      await store.close();
    },
  };
}
