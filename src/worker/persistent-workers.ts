// Compilers that stay: a few processes, each in a sandbox and a folder of its own, which do one
// action after another where actions ask for that (docs/adr/0031). Between two requests a process
// is stopped, so that nobody but us touches its folder then.
//
// Whatever goes wrong with one costs the process and some time, never an action: that is run as
// any other then.

import * as fs from "node:fs";
import { join } from "node:path";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { readFolderTree, type TreeEntry } from "../cas/merkle.ts";
import type { ActionRequest } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { KeptUsage, Sandbox, SandboxResult, SandboxRun } from "../sandbox/sandbox.ts";
import { copyOutputs } from "./copied-outputs.ts";
import type { DescribedRun } from "./executor.ts";
import { layInputRoot } from "./input-root.ts";
import { createKeptWorker, type KeptWorker } from "./kept-worker.ts";
import type { LoadedAction } from "./load-action.ts";
import { removeScratch, type ScratchPool } from "./scratch.ts";
import { planWork, type WorkPlan, wantsWorker } from "./work-plan.ts";
import { encodeOrder, expandFlagFiles } from "./work-protocol.ts";

/** How many processes may stay, and for how long. */
export interface PersistentOptions {
  /** Bound: processes at once, those at work included. */
  readonly processesMax: number;
  /** A process that nobody asked for so long ends, ms. */
  readonly idleMs: number;
  /** Bound: memory of those that wait, together, as it was when they were stopped. */
  readonly idleBytesMax: number;
}

/** An action that may be one for a persistent worker. */
export interface Work extends DescribedRun {
  readonly request: ActionRequest;
  readonly loaded: LoadedAction;
}

/** What came of it. */
export type KeptEnding =
  | {
      /** Its outputs and output files are where a plain run would have left them. */
      readonly kind: "ended";
      readonly ended: SandboxResult;
    }
  | {
      /** It is to be run as any other. */
      readonly kind: "plain";
      /** What of its wall time is gone, in ms. */
      readonly spentMs: number;
    };

/** The persistent workers of one worker node. */
export interface PersistentWorkers {
  /**
   * Has an action done where it asks for it and there is room. `onLaid` is told when its inputs are
   * there. Throws as laying out inputs does.
   */
  run(
    work: Work,
    call: { readonly signal: AbortSignal; readonly onLaid: () => void },
  ): Promise<KeptEnding>;
  /** Ends all that wait. */
  close(): Promise<void>;
}

/** What the processes are made with. */
export interface PersistentDeps {
  readonly store: BlobStore & LocalFiles;
  readonly sandbox: Sandbox;
  readonly scratch: ScratchPool;
}

type Size = NonNullable<SandboxRun["inputs"]>;

interface Idle {
  readonly worker: KeptWorker;
  readonly usage: KeptUsage;
  readonly timer: NodeJS.Timeout;
}

const plainly: KeptEnding = { kind: "plain", spentMs: 0 };
/** As a shell tells of a death by SIGKILL: 128 and the signal. */
const killedCode = 137;

/** Keeps processes. None is kept where the sandbox cannot stop them for certain. */
export function createPersistentWorkers(
  deps: PersistentDeps,
  options: PersistentOptions,
): PersistentWorkers {
  const idle: Idle[] = [];
  const ending = new Set<Promise<void>>();
  let busy = 0;

  /** Ends a process; its place is free when it is gone. */
  function discard(worker: KeptWorker): Promise<void> {
    // A folder that cannot be removed now is swept when this node starts again.
    const given = worker.end().then(() => deps.scratch.give(worker.folder));
    const done = given.catch(() => undefined);
    ending.add(done);
    return done.finally(() => ending.delete(done));
  }

  function drop(one: Idle): Promise<void> {
    clearTimeout(one.timer);
    const at = idle.indexOf(one);
    if (at < 0) return Promise.resolve();
    idle.splice(at, 1);
    return discard(one.worker);
  }

  function takeIdle(key: string, size: Size): KeptWorker | undefined {
    const found = idle.findLast(({ worker }) => worker.key === key && worker.fits(size));
    if (found === undefined) return undefined;
    clearTimeout(found.timer);
    idle.splice(idle.indexOf(found), 1);
    return found.worker;
  }

  async function putBack(worker: KeptWorker, usage: KeptUsage): Promise<void> {
    const timer = setTimeout(() => void drop(one), options.idleMs);
    timer.unref();
    const one = { worker, usage, timer };
    idle.push(one);
    void worker.died.then(() => drop(one));
    const bytes = () => idle.reduce((sum, { usage: { residentBytes } }) => sum + residentBytes, 0);
    for (let old = idle[0]; old !== undefined && bytes() > options.idleBytesMax; old = idle[0]) {
      await drop(old);
    }
  }

  return {
    run: async (work, call) => {
      const { sandbox } = deps;
      if (sandbox.keep === undefined || !wantsWorker(work.properties)) return plainly;
      const { entries } = await readFolderTree(deps.store, work.loaded.inputRoot);
      const plan = planWork(work, entries);
      if (plan === undefined) return plainly;
      const size = sizeOf(entries, work);
      const known = takeIdle(plan.key, size);
      const [oldest] = known === undefined ? idle : [];
      const isFull = known === undefined && busy + idle.length >= options.processesMax;
      if (isFull && oldest === undefined) return plainly;
      busy += 1;
      try {
        if (isFull && oldest !== undefined) await drop(oldest);
        const keep = (run: SandboxRun) => keepIn(sandbox, run);
        const worker = known ?? createKeptWorker({ keep }, plan.key, deps.scratch.take());
        const done = await attempt(deps, worker, { ...work, plan, entries, size }, call).catch(
          async (error: unknown) => {
            await discard(worker);
            throw error;
          },
        );
        if (done.usage === undefined) await discard(worker);
        else await putBack(worker, done.usage);
        return done.ending;
      } finally {
        busy -= 1;
      }
    },
    close: async () => {
      await Promise.all([...idle].map(drop));
      await Promise.all(ending);
    },
  };
}

function keepIn(sandbox: Sandbox, run: SandboxRun) {
  if (sandbox.keep === undefined) throw new MeshError("INTERNAL", "This sandbox keeps nothing.");
  return sandbox.keep(run);
}

interface Planned extends Work {
  readonly plan: WorkPlan;
  readonly entries: readonly TreeEntry[];
  readonly size: Size;
}

interface Attempted {
  readonly ending: KeptEnding;
  /** Set where the process is stopped, its folder empty, and it may be used again. */
  readonly usage?: KeptUsage;
}

async function attempt(
  { store }: PersistentDeps,
  worker: KeptWorker,
  work: Planned,
  { signal, onLaid }: Parameters<PersistentWorkers["run"]>[1],
): Promise<Attempted> {
  const { run, layout, loaded } = work;
  const next = join(worker.folder, "next");
  await layInputRoot(store, loaded.inputRoot, {
    ...layout,
    ...{ execRoot: next, scratch: worker.folder },
  });
  const order = moveIn(worker, next, work);
  if (order === undefined) return { ending: plainly };
  onLaid();
  const startMs = performance.now();
  const before = worker.usage;
  const heard = await worker.ask(order, { ...work, signal });
  const wallMs = performance.now() - startMs;
  const failed: Attempted = { ending: { kind: "plain", spentMs: wallMs } };
  if (heard.kind === "failed") return failed;
  if (heard.kind === "cancelled") return ended({ cancelled: true }, wallMs);
  if (heard.kind === "timeout") await worker.end();
  try {
    const { outputBytes: bytes, outputFiles: files } = run.limits;
    await copyOutputs(worker.root, run.execRoot, loaded.outputs, { bytes, files });
    if (heard.kind === "timeout") {
      tell(run, "");
      return ended({ limit: "timeout" }, wallMs);
    }
    await worker.clean();
  } catch {
    // What cannot be copied is judged, and told, as a plain run's is.
    if (fs.existsSync(run.execRoot)) await removeScratch(run.execRoot);
    return failed;
  }
  const { usage } = heard;
  const spent = {
    userCpuMs: usage.userCpuMs - before.userCpuMs,
    systemCpuMs: usage.systemCpuMs - before.systemCpuMs,
    memoryPeakBytes: usage.residentBytes,
  };
  const { exitCode, output } = heard.answer;
  return { ...ended({ exitCode, ...tell(run, output) }, wallMs, spent), usage };
}

/** How an action ended that a persistent worker did; by a kill unless it is said otherwise. */
function ended(
  how: Partial<Pick<SandboxResult, "exitCode" | "limit" | "cancelled">>,
  wallMs: number,
  spent = { userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 },
): Attempted {
  const { limit, cancelled = false } = how;
  const isKilled = limit !== undefined || how.exitCode === undefined;
  const exitCode = isKilled ? killedCode : how.exitCode;
  return {
    ending: { kind: "ended", ended: { exitCode, limit, cancelled, usage: { wallMs, ...spent } } },
  };
}

/** Writes what a run would have written. The answer's text is for people: standard error. */
function tell(run: SandboxRun, output: string): { readonly limit?: "logBytes" } {
  const bytes = Buffer.from(output);
  fs.writeFileSync(run.stdoutPath, "");
  fs.writeFileSync(run.stderrPath, bytes.subarray(0, run.limits.logBytes));
  return bytes.length > run.limits.logBytes ? { limit: "logBytes" } : {};
}

/**
 * Moves the laid inputs to where the process finds them, and writes down what it is asked;
 * undefined where the flag files cannot be read or something cannot be moved: the command may say
 * why.
 */
function moveIn(worker: KeptWorker, next: string, work: Planned): Uint8Array | undefined {
  const { plan, entries } = work;
  try {
    worker.moveIn(next);
    const root = `${fs.realpathSync(worker.root)}/`;
    const read = (path: string) => {
      const file = fs.realpathSync(join(worker.root, path));
      if (file.startsWith(root) && fs.statSync(file).size <= flagBytesMax) {
        return fs.readFileSync(file, "utf8");
      }
      throw new MeshError("INVALID_ARGUMENT", `The flag file ${path} is not among the inputs.`);
    };
    const inputs = entries.flatMap((entry) =>
      entry.kind === "file" ? [{ path: entry.path, hash: entry.digest.hash }] : [],
    );
    return encodeOrder({ arguments: expandFlagFiles(plan.flagFiles, read), inputs }, plan.format);
  } catch {
    return undefined;
  }
}

/** Bound: bytes of one flag file. */
const flagBytesMax = 16 << 20;

function sizeOf(entries: readonly TreeEntry[], { layout }: Work): Size {
  const bytes = entries.reduce(
    (sum, entry) => (entry.kind === "file" ? sum + entry.digest.sizeBytes : sum),
    0,
  );
  return { bytes, files: entries.length + layout.folders.length };
}
