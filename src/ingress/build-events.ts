// What build tools tell of their invocations (Build Event Service), kept in memory within bounds,
// for people to look at: what was built, what failed, what was printed, never command lines.

import { MeshError } from "../core/error.ts";
import {
  BuildEvent as BazelEvent,
  TestStatus,
  type TestSummary,
} from "../wire/gen/build_event_stream/build_event_stream.ts";
import type {
  InvocationReport,
  InvocationReport_Target,
  InvocationSummary,
} from "../wire/gen/builder/node/v1/node.ts";
import type { BuildEvent } from "../wire/gen/google/devtools/build/v1/build_events.ts";
import { fromTimestamp } from "../wire/reapi.ts";

/** Bounds of what is kept. */
export interface BuildEventBounds {
  /** Invocations; of further ones the oldest goes, those that have ended first. */
  readonly invocationsMax: number;
  /** Characters of all texts of one invocation but what it printed. */
  readonly charsMax: number;
  /** Characters of the end of what it printed. */
  readonly outputCharsMax: number;
}

/** Together at most 64 × (256 + 64) thousand characters. */
export const defaultBuildEventBounds: BuildEventBounds = {
  ...{ invocationsMax: 64, charsMax: 256_000, outputCharsMax: 64_000 },
};

/** Where an event belongs. */
export interface EventPlace {
  readonly build: string;
  readonly invocation: string;
  /** Who tells it. */
  readonly user: string;
  /** Counts from 1; lower ones than before came already. */
  readonly sequence: number;
}

/** Invocations that build tools told of. */
export interface BuildEvents {
  /** Takes an event. PERMISSION_DENIED where the invocation is another user's. */
  take(place: EventPlace, event: BuildEvent): void;
  /** The stream of an invocation ended; without an end of the build it was interrupted. */
  ended(invocation: string): void;
  /** The newest first. */
  list(): readonly InvocationSummary[];
  /** NOT_FOUND where no id begins so, or several do. */
  get(idStart: string): InvocationReport;
}

/** Bound: characters of one text, such as a label. */
const textCharsMax = 512;
/** Bound: characters of an id. */
const idCharsMax = 128;

interface Held {
  readonly summary: InvocationSummary;
  readonly targets: Map<string, InvocationReport_Target>;
  readonly report: Omit<InvocationReport, "summary" | "targets" | "output" | "isCut">;
  /** Pieces of what was printed, the newest last. */
  output: string[];
  outputChars: number;
  chars: number;
  isCut: boolean;
  sequence: number;
}

/** Creates the memory of one ingress. */
export function createBuildEvents(bounds = defaultBuildEventBounds): BuildEvents {
  const heldById = new Map<string, Held>();

  function open({ build, invocation, user }: EventPlace): Held {
    const id = cut(invocation, idCharsMax);
    const known = heldById.get(id);
    if (known !== undefined && known.summary.user !== user) {
      throw new MeshError("PERMISSION_DENIED", `Invocation ${id} is another user's.`);
    }
    if (known !== undefined) return known;
    makeRoom();
    const held = newInvocation(id, cut(build, idCharsMax), cut(user, textCharsMax));
    heldById.set(id, held);
    return held;
  }

  function makeRoom(): void {
    if (heldById.size < bounds.invocationsMax) return;
    const ids = [...heldById.keys()];
    const ended = ids.find((id) => heldById.get(id)?.summary.result !== "");
    heldById.delete(ended ?? ids[0] ?? "");
  }

  /** Counts texts against the bound; false where there is no more room. */
  function fits(held: Held, ...texts: readonly string[]): boolean {
    // Each entry costs something besides its texts.
    const chars = texts.reduce((sum, text) => sum + text.length, 64);
    if (held.chars + chars > bounds.charsMax) {
      held.isCut = true;
      return false;
    }
    held.chars += chars;
    return true;
  }

  function print(held: Held, text: string): void {
    if (text === "") return;
    held.output.push(text.slice(-bounds.outputCharsMax));
    held.outputChars += text.length;
    if (held.outputChars < 2 * bounds.outputCharsMax) return;
    held.output = [held.output.join("").slice(-bounds.outputCharsMax)];
    held.outputChars = bounds.outputCharsMax;
    held.isCut = true;
  }

  function target(held: Held, label: string, success: boolean, why: string): void {
    const { summary, targets } = held;
    const before = targets.get(label);
    // Of a target and its aspects one that fails is what counts.
    if (before !== undefined) {
      if (success || !before.success) return;
      targets.set(label, { ...before, success, why });
      summary.targetsFailed += 1;
      return;
    }
    summary.targets += 1;
    if (!success) summary.targetsFailed += 1;
    if (fits(held, label, why)) targets.set(label, { label, success, why });
  }

  function takeTest(held: Held, name: string, told: TestSummary): void {
    const status = statusName(told.overallStatus);
    const label = cut(name);
    held.summary.tests += 1;
    if (status !== "PASSED" && status !== "FLAKY") held.summary.testsFailed += 1;
    const { totalRunCount: runs, totalNumCached: cached } = told;
    const test = { label, status, runs, cached, durationMs: told.totalRunDurationMillis };
    if (fits(held, label)) held.report.tests.push(test);
  }

  function takeBazel(held: Held, { id, payload }: BazelEvent, atMs: number): void {
    const { summary, report } = held;
    const about = id?.id;
    switch (payload?.$case) {
      case "started": {
        const { command, workspaceDirectory, buildToolVersion } = payload.value;
        summary.command = cut(command);
        summary.workspace = cut(workspaceDirectory);
        summary.tool = cut(`Bazel ${buildToolVersion}`.trim());
        break;
      }
      case "progress":
        print(held, payload.value.stdout);
        print(held, payload.value.stderr);
        break;
      case "completed":
        if (about?.$case === "targetCompleted") {
          target(held, cut(about.value.label), payload.value.success, "");
        }
        break;
      case "aborted":
        if (about?.$case === "targetCompleted") {
          target(held, cut(about.value.label), false, cut(payload.value.description));
        }
        break;
      case "action": {
        const { success, exitCode, label, type: mnemonic } = payload.value;
        if (success || about?.$case !== "actionCompleted") break;
        const output = cut(about.value.primaryOutput);
        const failed = { label: cut(label), mnemonic: cut(mnemonic), output, exitCode };
        if (fits(held, failed.label, failed.mnemonic, output)) report.failedActions.push(failed);
        break;
      }
      case "testSummary":
        if (about?.$case === "testSummary") takeTest(held, about.value.label, payload.value);
        break;
      case "finished":
        summary.result = cut(payload.value.exitCode?.name ?? "") || "FINISHED";
        summary.exitCode = payload.value.exitCode?.code ?? 0;
        summary.endedAtMs = atMs;
        break;
      case "buildMetrics": {
        const actions = payload.value.actionSummary;
        summary.actionsCreated = actions?.actionsCreated ?? 0;
        summary.actionsExecuted = actions?.actionsExecuted ?? 0;
        for (const { name, count } of actions?.runnerCount ?? []) {
          if (fits(held, name)) report.runners.push({ name: cut(name), actions: count });
        }
        break;
      }
    }
  }

  return {
    take: (place, event) => {
      const held = open(place);
      // A client that was cut off sends again what it got no answer for.
      if (place.sequence <= held.sequence) return;
      held.sequence = place.sequence;
      held.summary.events += 1;
      const atMs = fromTimestamp(event.eventTime) ?? 0;
      if (held.summary.startedAtMs === 0) held.summary.startedAtMs = atMs;
      if (event.event?.$case !== "bazelEvent") return;
      takeBazel(held, decodeBazelEvent(event.event.value.value), atMs);
    },
    ended: (invocation) => {
      const held = heldById.get(cut(invocation, idCharsMax));
      if (held !== undefined && held.summary.result === "") held.summary.result = "INTERRUPTED";
    },
    list: () => [...heldById.values()].map(({ summary }) => ({ ...summary })).reverse(),
    get: (idStart) => {
      const found = [...heldById].filter(([id]) => id.startsWith(idStart));
      const [only] = found;
      if (only === undefined || found.length > 1) throw notOne(idStart, found.length);
      return reportOf(only[1], bounds);
    },
  };
}

function newInvocation(id: string, build: string, user: string): Held {
  return {
    summary: {
      ...{ id, build, user, command: "", tool: "", workspace: "", startedAtMs: 0, endedAtMs: 0 },
      ...{ result: "", exitCode: 0, targets: 0, targetsFailed: 0, tests: 0, testsFailed: 0 },
      ...{ actionsCreated: 0, actionsExecuted: 0, events: 0 },
    },
    targets: new Map(),
    report: { tests: [], failedActions: [], runners: [] },
    ...{ output: [], outputChars: 0, chars: 0, isCut: false, sequence: 0 },
  };
}

function reportOf(held: Held, { outputCharsMax }: BuildEventBounds): InvocationReport {
  const printed = held.output.join("");
  return {
    ...held.report,
    summary: { ...held.summary },
    targets: [...held.targets.values()],
    output: printed.slice(-outputCharsMax),
    isCut: held.isCut || printed.length > outputCharsMax,
  };
}

/** What does not make sense says nothing: a build must not fail for what is only shown. */
function decodeBazelEvent(bytes: Uint8Array): BazelEvent {
  try {
    return BazelEvent.decode(bytes);
  } catch {
    return BazelEvent.fromPartial({});
  }
}

function statusName(status: number): string {
  return Object.entries(TestStatus).find(([, value]) => value === status)?.[0] ?? "NO_STATUS";
}

function cut(text: string, max = textCharsMax): string {
  return text.slice(0, max);
}

function notOne(idStart: string, count: number): MeshError {
  const which = JSON.stringify(cut(idStart, idCharsMax));
  const why = count === 0 ? "No invocation's id begins" : `The ids of ${count} invocations begin`;
  return new MeshError(
    "NOT_FOUND",
    `${why} with ${which}. \`builder remote invocations\` lists them.`,
  );
}
