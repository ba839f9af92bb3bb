// Why one action is as it is: what the recorder knows in words, and what its messages have
// otherwise than those of the nearest action before it.

import {
  type ActionMessages,
  compareActions,
  type Difference,
  type ReadBlob,
  readActionMessages,
} from "../cas/compare-actions.ts";
import { digestKey } from "../core/digest.ts";
import { failureOf } from "../core/error.ts";
import type { ActionRecord, ActionRecorder } from "../telemetry/action-recorder.ts";
import { formatMs } from "../telemetry/duration.ts";
import {
  earlierAlike,
  explainAction,
  type Surroundings,
  whyUncached,
} from "../telemetry/explain-action.ts";

/** What explaining works with. */
export interface ExplainDeps {
  /** The mesh's blobs. */
  readonly read: ReadBlob;
  readonly recorder: ActionRecorder;
}

/** What is said of an action. */
export interface Explained {
  readonly lines: string[];
  readonly differences: Difference[];
}

/** Bound: earlier actions whose messages are read to find the one with the same outputs. */
const candidatesMax = 20;

/** Says all that is known. Reads blobs, but never fails for want of one. */
export async function explain(
  deps: ExplainDeps,
  record: ActionRecord,
  around: Surroundings,
): Promise<Explained> {
  const lines = [headline(record, around), ...explainAction(record, around)];
  if (record.state === "cached") return { lines, differences: [] };
  const uncached = whyUncached(record);
  if (uncached !== undefined) return { lines: [...lines, uncached], differences: [] };
  const told = await explainMiss(deps, record, around);
  return { lines: [...lines, ...told.lines], differences: told.differences };
}

function headline(record: ActionRecord, { nowMs }: Surroundings): string {
  const { request, acceptedAtMs, priority } = record;
  const { kind, user, invocation, action } = request;
  const age = formatMs(Math.max(0, nowMs - acceptedAtMs));
  return (
    `${kind}, action ${digestKey(action)}, asked for ${age} ago by ${user}, ` +
    `invocation ${invocation}, priority ${priority}.`
  );
}

async function explainMiss(
  { read, recorder }: ExplainDeps,
  record: ActionRecord,
  around: Surroundings,
): Promise<Explained> {
  const same = explainSame(record, recorder, around);
  if (same !== undefined) return { lines: [same], differences: [] };
  const now = await messagesOf(read, record);
  if (now === undefined) {
    const text =
      "Why it was not in the cache cannot be told: its messages are not stored any more.";
    return { lines: [text], differences: [] };
  }
  const nearest = await findNearest(read, record, now, recorder);
  if (nearest === undefined) {
    const text =
      "It was not in the cache, and nothing of this target and mnemonic was asked for here before.";
    return { lines: [text], differences: [] };
  }
  const { found, partial } = await compareActions(read, nearest.messages, now);
  const before = formatMs(record.acceptedAtMs - nearest.record.acceptedAtMs);
  const hash = nearest.record.request.action.hash.slice(0, 12);
  const than = `the nearest earlier action (${hash}, ${before} before)`;
  if (found.length === 0) {
    const text = `It was not in the cache; ${than} differs in a way that is not looked at.`;
    return { lines: [text], differences: [] };
  }
  const more = partial ? " Not all of it was looked at." : "";
  const lines = [`It was not in the cache. Otherwise than in ${than}:${more}`];
  lines.push(...found.map(({ text }) => `  ${text}.`));
  return { lines, differences: [...found] };
}

/** The very same action ran before: why was its result not used? */
function explainSame(
  record: ActionRecord,
  recorder: ActionRecorder,
  { nowMs }: Surroundings,
): string | undefined {
  const { action, instance } = record.request;
  for (const other of recorder.ended()) {
    const isSame = other.request.action.hash === action.hash && other.request.instance === instance;
    if (!isSame || other === record || other.stateAtMs > record.acceptedAtMs) continue;
    if (other.state === "cancelled") continue;
    const ago = `${formatMs(nowMs - other.stateAtMs)} ago`;
    if (other.state === "failed") {
      const how = other.failure === undefined ? ` with exit code ${other.exitCode ?? "none"}` : "";
      return `The same action failed ${ago}${how}: only successes are kept in the cache.`;
    }
    return (
      `The same action was done ${ago}, but its result or a blob of it is not stored any more: ` +
      "it was evicted. A larger --store-max keeps more."
    );
  }
  return undefined;
}

async function findNearest(
  read: ReadBlob,
  record: ActionRecord,
  now: ActionMessages,
  recorder: ActionRecorder,
): Promise<{ record: ActionRecord; messages: ActionMessages } | undefined> {
  let fallback: { record: ActionRecord; messages: ActionMessages } | undefined;
  let looked = 0;
  for (const other of earlierAlike(record, recorder.ended())) {
    looked += 1;
    if (looked > candidatesMax) break;
    const messages = await messagesOf(read, other);
    if (messages === undefined) continue;
    // A target's compilations are of one kind; its outputs tell one from another.
    if (outputsOf(messages) === outputsOf(now)) return { record: other, messages };
    fallback ??= { record: other, messages };
  }
  return fallback;
}

function outputsOf({ command }: ActionMessages): string {
  const { outputPaths, outputFiles, outputDirectories } = command;
  return JSON.stringify([outputPaths, outputFiles, outputDirectories]);
}

/** Undefined where they are gone; whatever else is wrong with them is wrong for the client too. */
async function messagesOf(
  read: ReadBlob,
  { request }: ActionRecord,
): Promise<ActionMessages | undefined> {
  return readActionMessages(read, request.action).catch((error: unknown) => {
    if (failureOf(error).code === "UNAVAILABLE") throw error;
    return undefined;
  });
}
