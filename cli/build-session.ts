// What the commands that build share: the streams, the node, the user's Ctrl-C, and one build after
// another.

import { availableParallelism } from "node:os";
import type { BuildEvent, BuildSummary } from "../src/build/build-event.ts";
import { type BuildOptions, build } from "../src/build/builder.ts";
import { MeshError } from "../src/core/error.ts";
import type { Look } from "../src/workspace/look.ts";
import { chooseTargets } from "../src/workspace/target-pattern.ts";
import {
  labelOf,
  openWorkspace,
  type PlacedTarget,
  type Workspace,
} from "../src/workspace/workspace.ts";
import { type BuildFlags, checkEndpointFlags } from "./build-flags.ts";
import { type BuildOutput, createBuildOutput } from "./build-output.ts";
import { type BuildReport, createBuildReport } from "./build-report.ts";
import { type ChosenNode, chooseNode } from "./chosen-node.ts";

/** Exit code of a program that Ctrl-C ended: 128 and the signal's number. */
export const interruptedCode = 130;

/** Everything that builds of one command have in common. */
export interface BuildSession {
  readonly flags: BuildFlags;
  readonly verbose: boolean;
  /** Most actions under way at once. */
  readonly jobs: number;
  readonly output: BuildOutput;
  readonly node: ChosenNode;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  close(): Promise<void>;
}

/** What one build is about. */
export interface BuildRequest {
  /** What is asked for, as one text. */
  readonly request: string;
  readonly choose: BuildOptions["choose"];
  /** Whether to tell how the build went is all that was asked for. */
  readonly alone: boolean;
  /** Run the wanted tests too. */
  readonly test: boolean;
  readonly testArgs?: readonly string[] | undefined;
  readonly flakyRetries?: number | undefined;
  /** Say of each action that ran why it was no hit. */
  readonly explain?: boolean | undefined;
  /** Unix ms: since when the user waits. */
  readonly startedAtMs: number;
  /** Told every event, besides the report. */
  readonly onEvent?: ((event: BuildEvent) => void) | undefined;
  readonly looked?: ((lookByPath: ReadonlyMap<string, Look>) => void) | undefined;
  /** Given: nothing is said unless something has to run, and this is called before that. */
  readonly beforeWork?: (() => void) | undefined;
}

/** When this program started, Unix ms. */
export function programStartMs(): number {
  return Date.now() - performance.now();
}

/** Opens a session. `linesTo` is where lines for people go: a program that runs owns stdout. */
export async function openSession(
  flags: BuildFlags,
  linesTo: "stdout" | "stderr" = "stdout",
): Promise<BuildSession> {
  checkEndpointFlags(flags);
  const space = openHere().space();
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  // Once: a second Ctrl-C ends the program at once.
  process.once("SIGINT", interrupt);
  const output = createBuildOutput({
    stdout: process[linesTo],
    stderr: process.stderr,
    env: process.env,
    color: flags.color,
    plain: flags.json ?? false,
    now: Date.now,
    repeat: (draw) => {
      const timer = setInterval(draw, 100).unref();
      return () => clearInterval(timer);
    },
  });
  const away = (text: string) => (flags.json === true ? output.warn : output.write)(text);
  const cores = availableParallelism();
  const atOnce = flags.jobs ?? space.jobs ?? cores;
  const node = await chooseNode({ ...flags, defaultNode: space.remote, atOnce }, away);
  return {
    flags,
    verbose: flags.verbose ?? space.verbose,
    // What does not run yet is made ready: hashed, looked up, its inputs stored.
    jobs: flags.remote === undefined ? 2 * atOnce : (flags.jobs ?? space.jobs ?? 4 * cores),
    output,
    node,
    signal: abort.signal,
    close: async () => {
      process.off("SIGINT", interrupt);
      await node.close();
    },
  };
}

/** Builds once. Whoever asks sets the exit code (`exitCodeOf`). */
export async function buildOnce(
  session: BuildSession,
  request: BuildRequest,
): Promise<BuildSummary> {
  const { flags, node, output, signal } = session;
  const report = reportOf(session, request.startedAtMs);
  const shown = output.show();
  const tell = (event: BuildEvent) => {
    shown.take(event);
    report.emit(event);
    request.onEvent?.(event);
  };
  const { beforeWork } = request;
  const emit = beforeWork === undefined ? tell : onceThereIsWork(beforeWork, tell);
  try {
    if (beforeWork === undefined) report.begin();
    return await build(
      {
        executorFor: node.executorFor,
        emit,
        now: Date.now,
        ...(request.looked === undefined ? {} : { looked: request.looked }),
      },
      {
        folder: process.cwd(),
        request: request.request,
        choose: request.choose,
        test: request.test,
        jobs: session.jobs,
        keepGoing: flags.keepGoing ?? false,
        download: flags.download,
        program: process.argv[1] ?? process.execPath,
        env: process.env,
        shown: {
          json: flags.json ?? false,
          node: node.address ?? "",
          color: flags.color,
          alone: request.alone,
        },
        testArgs: request.testArgs ?? [],
        flakyRetries: request.flakyRetries,
        explain: request.explain ?? false,
        signal,
      },
    );
  } finally {
    shown.stop();
  }
}

/** The report of one build of a session. */
export function reportOf(
  { flags, verbose, node, output, signal }: BuildSession,
  startedAtMs: number,
): BuildReport {
  return createBuildReport({
    write: output.write,
    warn: output.warn,
    color: output.color,
    json: flags.json ?? false,
    verbose,
    remote: node.address,
    startedAtMs,
    now: Date.now,
    isInterrupted: () => signal.aborted,
  });
}

/** Holds events back until an action starts; those of a build in which none does are dropped. */
function onceThereIsWork(
  begin: () => void,
  emit: (event: BuildEvent) => void,
): (event: BuildEvent) => void {
  let held: BuildEvent[] | undefined = [];
  return (event) => {
    if (event.kind === "started" && held !== undefined) {
      begin();
      for (const earlier of held) emit(earlier);
      held = undefined;
    }
    if (held === undefined) emit(event);
    else held.push(event);
  };
}

/** 0 done, 1 failed, 130 ended by Ctrl-C. */
export function exitCodeOf(session: BuildSession, summary: { readonly ok: boolean }): number {
  if (summary.ok) return 0;
  return session.signal.aborted ? interruptedCode : 1;
}

/** What ends a command that Ctrl-C ended in the middle, instead of the error that this made. */
export async function interruptible(
  session: BuildSession,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!session.signal.aborted) throw error;
    session.output.warn("[ERROR] Interrupted.\n");
    return interruptedCode;
  }
}

/** The targets that names mean; all of the current folder's where there are none. */
export function wantedTargets(
  workspace: Workspace,
  names: readonly string[],
  test: boolean,
): PlacedTarget[] {
  const { targets, named } = chooseTargets(workspace, names.length > 0 ? names : [":*"]);
  if (!test) return [...targets];
  const tests = targets.filter(({ target }) => target.type === "test");
  const other = targets.find(
    (placed) => placed.target.type !== "test" && named.has(labelOf(placed)),
  );
  if (other !== undefined) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${other.target.name} is no test; its type is ${other.target.type}. Build it with bldr build.`,
    );
  }
  if (tests.length === 0) throw new MeshError("NOT_FOUND", "There is no test target here.");
  return tests;
}

/** Opens the workspace that the user is in. */
export function openHere(): Workspace {
  return openWorkspace(process.cwd(), process.env);
}
