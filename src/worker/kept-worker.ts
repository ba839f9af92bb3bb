// One compiler that stays: its folder, its process once it is started, and one request at a time.

import * as fs from "node:fs";
import { join } from "node:path";
import { setImmediate as turnOfEvents } from "node:timers/promises";
import type { KeptProcess, KeptUsage, SandboxRun } from "../sandbox/sandbox.ts";
import { removeScratch } from "./scratch.ts";
import type { WorkPlan } from "./work-plan.ts";
import { createAnswerReader, type WorkAnswer } from "./work-protocol.ts";

/** What came of a request. */
export type Heard =
  /** All its processes are stopped. */
  | { readonly kind: "answer"; readonly answer: WorkAnswer; readonly usage: KeptUsage }
  | { readonly kind: "timeout" }
  | { readonly kind: "cancelled" }
  /** It could not be started, ended, or broke the protocol. */
  | { readonly kind: "failed" };

/** What a request needs to be asked. */
export interface Question {
  readonly run: SandboxRun;
  readonly plan: WorkPlan;
  readonly size: NonNullable<SandboxRun["inputs"]>;
  readonly signal: AbortSignal;
}

/** A persistent worker. After anything but an answer it is good for nothing but `end`. */
export interface KeptWorker {
  readonly key: string;
  /** A scratch folder of its own, and the process's exec root in it. */
  readonly folder: string;
  readonly root: string;
  /** What it has used until it was last stopped. */
  readonly usage: KeptUsage;
  /** Resolves should the process end. */
  readonly died: Promise<void>;
  /** Whether inputs of that size leave no doubt about what it writes besides. */
  fits(size: Question["size"]): boolean;
  /** Moves what lies in the folder `next` into the exec root, which is empty or not yet there. */
  moveIn(next: string): void;
  /** Sends a request, and waits for the end of it, for as long as the run may take. */
  ask(order: Uint8Array, question: Question): Promise<Heard>;
  /** Empties the exec root. */
  clean(): Promise<void>;
  /** Ends the process; resolves when nothing of it runs. */
  end(): Promise<void>;
}

/** Bound: how long a process lives, ms. Actions that take longer are none for it. */
const lifeMs = 86_400_000;
/** Beyond an answer's text: its numbers. */
const answerBytes = 64 << 10;
/** The longest a timer of Node can wait; some 24 days. */
const timerMsMax = 2 ** 31 - 1;

/** A worker that is started at its first request, in the scratch folder `folder`. */
export function createKeptWorker(
  deps: { readonly keep: (run: SandboxRun) => KeptProcess },
  key: string,
  folder: string,
): KeptWorker {
  const root = join(folder, "root");
  const log = join(folder, "stderr");
  const died = Promise.withResolvers<void>();
  let allowed: Question["size"] | undefined;
  let usage: KeptUsage = { userCpuMs: 0, systemCpuMs: 0, residentBytes: 0 };
  let kept: KeptProcess | undefined;
  let onBytes: ((bytes: Uint8Array) => void) | undefined;
  let spokeUnasked = false;

  function start({ run, plan, size }: Question): KeptProcess {
    allowed = allowanceFor(size);
    const started = deps.keep({
      ...run,
      ...{ execRoot: root, scratch: folder, stderrPath: log, argv: plan.startup },
      inputs: allowed,
      limits: { ...run.limits, wallMs: lifeMs },
    });
    started.stdout.on("data", (bytes: Buffer) => {
      if (onBytes === undefined) spokeUnasked = true;
      else onBytes(bytes);
    });
    const over = () => died.resolve();
    started.stdout.once("close", over);
    started.ended.then(over, over);
    return started;
  }

  function listen(question: Question): Promise<WorkAnswer | Exclude<Heard["kind"], "answer">> {
    const { run, plan, signal } = question;
    const reader = createAnswerReader(plan.format, run.limits.logBytes + answerBytes);
    return new Promise((resolve) => {
      const finish = (heard: Parameters<typeof resolve>[0]) => {
        onBytes = undefined;
        clearTimeout(timer);
        signal.removeEventListener("abort", cancel);
        resolve(heard);
      };
      const cancel = () => finish("cancelled");
      const timer = setTimeout(() => finish("timeout"), Math.min(run.limits.wallMs, timerMsMax));
      onBytes = (bytes) => {
        try {
          const answer = reader.push(bytes);
          if (answer !== undefined) finish(answer);
        } catch {
          finish("failed");
        }
      };
      signal.addEventListener("abort", cancel, { once: true });
      if (signal.aborted) cancel();
      void died.promise.then(() => finish("failed"));
    });
  }

  return {
    ...{ key, folder, root },
    get usage() {
      return usage;
    },
    died: died.promise,
    fits: (size) =>
      allowed !== undefined && size.bytes <= allowed.bytes && size.files <= allowed.files,
    moveIn: (next) => {
      if (kept === undefined) return fs.renameSync(next, root);
      for (const name of fs.readdirSync(next)) fs.renameSync(join(next, name), join(root, name));
      fs.rmdirSync(next);
    },
    ask: async (order, question) => {
      if (kept === undefined) kept = start(question);
      else kept.thaw();
      const heard = listen(question);
      kept.stdin.write(order);
      const answer = await heard;
      if (typeof answer === "string") return { kind: answer };
      const stopped = await kept.freeze();
      // What it had said by then has come once all events were seen to.
      await turnOfEvents();
      await turnOfEvents();
      if (stopped === undefined || spokeUnasked) return { kind: "failed" };
      usage = stopped;
      return { kind: "answer", answer, usage };
    },
    clean: async () => {
      for (const name of fs.readdirSync(root, "buffer")) {
        const path = Buffer.concat([Buffer.from(`${root}/`), name]);
        if (fs.lstatSync(path).isDirectory()) await removeScratch(path.toString());
        else fs.unlinkSync(path);
      }
      fs.truncateSync(log);
    },
    end: async () => {
      kept?.kill();
      await kept?.ended.catch(() => undefined);
    },
  };
}

/** Its tree is measured against one limit for life, so there is room for larger inputs later. */
function allowanceFor({ bytes, files }: Question["size"]): Question["size"] {
  return { bytes: 2 * bytes + (64 << 20), files: 2 * files + 1000 };
}
