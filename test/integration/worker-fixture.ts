// One executor on a real store with a real sandbox, and short ways to give it actions.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { readTreeMessage, type TreeEntry } from "../../src/cas/merkle.ts";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import type { Outcome } from "../../src/core/action.ts";
import { chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../../src/wire/reapi.ts";
import { createExecutor, type ExecutorOptions } from "../../src/worker/executor.ts";
import type { LaidRoots } from "../../src/worker/laid-roots.ts";
import type { PersistentWorkers } from "../../src/worker/persistent-workers.ts";
import { createScratchPool, type ScratchPool } from "../../src/worker/scratch.ts";

/** An action by its parts; bytes stand for messages that no encoder of ours would make. */
export interface Given {
  readonly script?: string;
  readonly command?: Parameters<typeof reapi.Command.fromPartial>[0];
  readonly root?: Parameters<typeof reapi.Directory.fromPartial>[0] | Uint8Array;
  readonly action?: Parameters<typeof reapi.Action.fromPartial>[0];
}

/** A worker for the tests of one file. */
export class WorkerFixture {
  folder = "";
  store!: Store;
  sandbox!: Sandbox;
  pool!: ScratchPool;
  #running = 0;
  #mostAtOnce = 0;
  /** Set by tests of exec roots that are used again. */
  laidRoots: LaidRoots | undefined;
  /** Set by tests of compilers that stay. */
  persistentWorkers: PersistentWorkers | undefined;

  constructor() {
    beforeAll(async () => {
      this.folder = mkdtempSync(join(tmpdir(), "executor-"));
      const folder = join(this.folder, "store");
      this.store = openStore({ now: Date.now }, { folder, bytesMax: 4e9 });
      mkdirSync(this.scratch);
      this.pool = createScratchPool(this.scratch);
      this.sandbox = await chooseSandbox({ want: "auto", stateFolder: folder });
    });
    afterAll(async () => {
      await this.store.close();
      rmSync(this.folder, { recursive: true });
    });
  }

  get scratch(): string {
    return join(this.folder, "store/scratch");
  }

  async put(bytes: Uint8Array): Promise<reapi.Digest> {
    const { hash, sizeBytes } = await this.store.blobs.put(bytes, "sha256");
    return { hash, sizeBytes };
  }

  putDirectory(directory: Parameters<typeof reapi.Directory.fromPartial>[0]) {
    return this.put(reapi.Directory.encode(reapi.Directory.fromPartial(directory)).finish());
  }

  async execute(
    given: Given,
    options: Partial<ExecutorOptions> & {
      now?: () => number;
      toolsChanged?: () => boolean;
      user?: string;
      signal?: AbortSignal;
    } = {},
  ): Promise<Outcome> {
    const { store, sandbox, pool: scratch } = this;
    const execute = createExecutor(
      {
        store: store.blobs,
        actionCache: store.actions,
        sandbox,
        scratch,
        laidRoots: this.laidRoots,
        persistentWorkers: this.persistentWorkers,
        now: options.now ?? Date.now,
        toolsChanged: options.toolsChanged ?? (() => false),
      },
      {
        worker: "w",
        messageBytesMax: 16 << 20,
        limits: {
          defaults: {
            ...{ wallMs: 60_000, memoryBytes: 1 << 30, cpus: 2, pids: 200, openFiles: 1024 },
            ...{ outputBytes: 1 << 30, outputFiles: 300_000, tmpFiles: 10_000 },
            logBytes: 16 << 20,
          },
          ceilings: { memoryBytes: 2 * 2 ** 30, wallMs: 3_600_000 },
        },
        ...options,
      },
    );
    const command = reapi.Command.fromPartial({
      arguments: ["/bin/sh", "-c", given.script ?? "true"],
      ...given.command,
    });
    const { root = {} } = given;
    const action = reapi.Action.fromPartial({
      commandDigest: await this.put(reapi.Command.encode(command).finish()),
      inputRootDigest: await (root instanceof Uint8Array
        ? this.put(root)
        : this.putDirectory(root)),
      ...given.action,
    });
    const digest = await store.blobs.put(reapi.Action.encode(action).finish(), "sha256");
    this.#running += 1;
    this.#mostAtOnce = Math.max(this.#mostAtOnce, this.#running);
    const outcome = await execute(
      {
        action: digest,
        instance: "",
        priority: 0,
        user: options.user ?? "u",
        invocation: "i",
        kind: "k",
        inputRoot: digest,
        properties: {},
        mayMerge: true,
        skipCacheLookup: false,
      },
      { signal: options.signal ?? new AbortController().signal },
    );
    this.#running -= 1;
    // What stays has a folder with things in it; its tests look when it is gone.
    if (this.#running === 0 && this.persistentWorkers === undefined) this.#expectNothingLeft();
    return outcome;
  }

  /** As many folders as there were actions at once are kept, and nothing of any action in them. */
  #expectNothingLeft(): void {
    expect(this.keptFolders().length).toBeLessThanOrEqual(this.#mostAtOnce);
    this.expectEmptyFolders();
  }

  keptFolders(): string[] {
    return readdirSync(this.scratch).filter((name) => !name.includes(".laid-"));
  }

  /** Nothing of any action is in the folders that are kept. */
  expectEmptyFolders(): void {
    for (const folder of this.keptFolders()) {
      for (const name of readdirSync(join(this.scratch, folder))) {
        expect(["stdout", "stderr"]).toContain(name);
        expect(statSync(join(this.scratch, folder, name)).size).toBe(0);
      }
    }
  }

  /** The response to an action that must not end in a fault. */
  async run(given: Given, options: Parameters<WorkerFixture["execute"]>[1] = {}) {
    const outcome = await this.execute(given, options);
    if (outcome.kind === "fault") throw new Error(`fault: ${outcome.failure.message}`);
    return reapi.ExecuteResponse.decode(await this.bytes(outcome.response));
  }

  async bytes(digest: reapi.Digest | undefined): Promise<Uint8Array> {
    return this.store.blobs.get(fromWireDigest(digest, "sha256", "d"), 64 << 20);
  }

  async text(digest: reapi.Digest | undefined): Promise<string> {
    return Buffer.from(await this.bytes(digest)).toString();
  }

  /** What an output folder's Tree holds, sorted, as `kind path`. */
  async treeOf(directory: reapi.OutputDirectory | undefined): Promise<string[]> {
    const entries = await readTreeMessage(await this.bytes(directory?.treeDigest), "sha256");
    return entries.map(({ kind, path }: TreeEntry) => `${kind} ${path}`).sort();
  }
}
