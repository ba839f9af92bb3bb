// What one node knows by itself: its figures, the actions that it accepted, why they wait or ran,
// its log. Other nodes are asked in mesh-insight.ts.

import { createHash } from "node:crypto";
import { availableParallelism, loadavg } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { PeerId } from "../core/action.ts";
import { digestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Insight } from "../ingress/insight.ts";
import type { ActionRecord } from "../telemetry/action-recorder.ts";
import { type Surroundings, waitsOf } from "../telemetry/explain-action.ts";
import { lineSearch } from "../telemetry/log-ring.ts";
import { type LinkFigures, troublesOf } from "../telemetry/troubles.ts";
import type {
  ActionLine,
  BuildPart,
  HostFigures,
  ListActionsRequest,
  ReadLogRequest,
} from "../wire/gen/builder/node/v1/insight.ts";
import { buildPart } from "./build-profile.ts";
import { type ExplainDeps, explain } from "./explain.ts";
import type { Member } from "./member.ts";
import type { Watched } from "./watched.ts";

/** What a node tells of itself alone; the answers are those of `Insight`. */
export interface OwnInsight extends Pick<Insight, "actions" | "explain" | "log" | "cancel"> {
  figures(): HostFigures;
  /** What it remembers of an invocation. */
  build(invocation: string): BuildPart;
  /** For `builder remote status`. */
  brief(): Pick<HostFigures, "waits" | "troubles">;
  close(): void;
}

/** What it is told from. */
export interface OwnInsightDeps extends Pick<ExplainDeps, "read"> {
  readonly now: () => number;
  /** Name of this node for people. */
  readonly name: string;
  readonly member: {
    readonly core: Member["core"];
    readonly mesh: Pick<Member["mesh"], "peerId" | "peers" | "pulseOf" | "memberOf">;
  };
  readonly watched: Watched;
  /** Gives up an operation; false where it is none of this node's that is unfinished. */
  readonly cancel: (operation: string) => boolean;
}

/** Bounds of what is asked. */
export const insightBounds = { limitMax: 1000, textMax: 4096, searchMax: 200 };

/** Failures that are told as a trouble: of the last so many ends and ms. */
const lateFailures = { looked: 500, ms: 600_000 };

/** Makes it; the event loop is watched until it is closed. */
export function createOwnInsight(deps: OwnInsightDeps): OwnInsight {
  const { member, watched, now } = deps;
  const { core, mesh } = member;
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  // So that an old stall is forgotten; what was measured in the last full span is told.
  let lagMs = 0;
  const reset = setInterval(() => {
    lagMs = percentileMs(delay);
    delay.reset();
  }, lagSpanMs).unref();

  const hostName = (peer: PeerId) => {
    if (peer === mesh.peerId) return deps.name;
    return core.members.find((one) => one.peer === peer)?.name || peer;
  };

  function around(): Surroundings {
    return {
      ...{ nowMs: now(), self: mesh.peerId, workers: core.workers, hostName },
      ...{ workStealing: core.workStealing, unfinished: watched.recorder.unfinished() },
    };
  }

  const line = (record: ActionRecord) => toLine(record, now(), deps.name);

  function links(): (LinkFigures & { readonly peer: PeerId })[] {
    return mesh.peers().flatMap((peer) => {
      const pulse = mesh.pulseOf(peer);
      if (pulse === undefined) return [];
      const name = mesh.memberOf(peer)?.name || hostName(peer);
      return [{ peer, name, ...pulse }];
    });
  }

  function troubles(): string[] {
    // Workers share the line of their host, and this host's own have none.
    const hosts = new Set(core.members.map(({ peer }) => peer));
    return troublesOf({
      times: watched.times.read(),
      links: links().filter(({ peer }) => hosts.has(peer)),
      ...{ waits: waitsOf(around()), failures: failures(), lagMs: lag() },
    });
  }

  const lag = () => Math.max(lagMs, percentileMs(delay));

  /** Why actions could not be run of late, the most frequent reasons first. */
  function failures(): { message: string; count: number }[] {
    const found = new Map<string, number>();
    let looked = 0;
    for (const { failure, stateAtMs } of watched.recorder.ended()) {
      looked += 1;
      if (looked > lateFailures.looked || now() - stateAtMs > lateFailures.ms) break;
      if (failure === undefined || failure.code === "CANCELLED") continue;
      found.set(failure.message, (found.get(failure.message) ?? 0) + 1);
    }
    return [...found]
      .map(([message, count]) => ({ message, count }))
      .sort((a, b) => b.count - a.count)
      .slice(0, 3);
  }

  return {
    figures: () => ({
      ...{ peer: mesh.peerId, name: deps.name, silent: false },
      ...{ pending: core.pending, executing: core.executing },
      ended: watched.counters.read().ended,
      failed: watched.counters.read().failed,
      lagMs: lag(),
      loadPercent: Math.round((loadavg()[0] ?? 0) * 100),
      cores: availableParallelism(),
      workers: workersOf(core.workers, watched),
      links: links().map(({ rttMs, rttWorstMs, ...rest }) => ({
        ...rest,
        rttMs: Math.round(rttMs ?? -1),
        rttWorstMs: Math.round(rttWorstMs ?? -1),
      })),
      beats: watched.beats.read().map((beat) => ({ ...beat })),
      waits: waitsOf(around()),
      troubles: troubles(),
    }),
    brief: () => ({ waits: waitsOf(around()), troubles: troubles() }),
    actions: async (request) => {
      const { records, total } = listed(watched, checkList(request));
      return { actions: records.map(line), total, silent: [] };
    },
    explain: async ({ action }) => {
      const record = find(watched, action);
      const told = await explain({ read: deps.read, recorder: watched.recorder }, record, around());
      return { action: line(record), ...told };
    },
    build: (invocation) => buildPart(watched, invocation, now()),
    log: async (request) => {
      const { after, limit, search } = checkLogRequest(request);
      const lines = watched.ring.after(after, limit, lineSearch(search));
      return {
        lines: lines.map(({ seq, atMs, level, text }) => ({
          ...{ seq, level, text, host: "", ageMs: Math.max(0, now() - atMs) },
        })),
        ...{ silent: [], refused: [] },
      };
    },
    cancel: async ({ what, user }) => ({
      operations: operationsOf(watched, what, user).filter(deps.cancel).length,
      silent: [],
    }),
    close: () => {
      clearInterval(reset);
      delay.disable();
    },
  };
}

/** Span over which event-loop lag is measured, ms. */
const lagSpanMs = 30_000;

/** The histogram counts its own resolution as delay. */
function percentileMs(delay: { percentile(share: number): number }): number {
  const ms = delay.percentile(99) / 1e6 - 20;
  return Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : 0;
}

function workersOf(workers: Member["core"]["workers"], { times }: Watched) {
  const timesByPeer = new Map(times.read().map((one) => [one.peer, one]));
  return workers.map(({ peer, name, home, slots, free, queued, draining }) => {
    const {
      ended = 0,
      stolen = 0,
      lost = 0,
      fetch,
      setUp,
      run,
      store,
    } = timesByPeer.get(peer) ?? {};
    return {
      ...{ peer, name, home, slots, free, queued, draining, ended, stolen, lost },
      ...{ fetch: fetch && { ...fetch }, setUp: setUp && { ...setUp } },
      ...{ run: run && { ...run }, store: store && { ...store } },
    };
  });
}

function toLine(record: ActionRecord, nowMs: number, host: string): ActionLine {
  const { request, state, stateAtMs, acceptedAtMs, attempts, waiters } = record;
  const attempt = attempts.at(-1);
  // A clock that was set back makes nothing younger than it was.
  const since = (atMs: number) => Math.max(0, nowMs - atMs);
  const boundAtMs = attempt?.boundAtMs ?? (state === "queued" ? nowMs : stateAtMs);
  return {
    action: digestKey(request.action),
    ...{ kind: request.kind, user: request.user, invocation: request.invocation },
    ...{ priority: record.priority, state, worker: attempt?.worker ?? "", host },
    ...{ ageMs: since(acceptedAtMs), stateMs: since(stateAtMs) },
    waitMs: Math.max(0, boundAtMs - acceptedAtMs),
    runMs: state === "running" ? since(boundAtMs) : (record.runMs ?? 0),
    attempts: attempts.length,
    stolen: attempt?.stolen ?? false,
    exitCode: record.exitCode === undefined ? undefined : record.exitCode | 0,
    failure: (record.failure?.message ?? "").slice(0, insightBounds.textMax),
    operation: waiters[0] === undefined ? "" : handleOf(waiters[0].operation),
  };
}

/**
 * What an operation is called where everybody may look: whoever knows its name can end it by
 * `CancelOperation`, which any client may call, and nobody finds the name from this.
 */
function handleOf(operation: string): string {
  return `op-${createHash("sha256").update(operation).digest("hex").slice(0, 32)}`;
}

function isCalled(operation: string, text: string): boolean {
  return operation === text || (text.startsWith("op-") && handleOf(operation) === text);
}

/** INVALID_ARGUMENT for a number of actions that is not told at once. */
export function checkList(request: ListActionsRequest): ListActionsRequest {
  const { skip } = request;
  const limit = checkLimit(request.limit);
  if (skip >= 0 && skip + limit <= insightBounds.limitMax) return request;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `skip and limit together are at most ${insightBounds.limitMax}. Choose another filter.`,
  );
}

/** INVALID_ARGUMENT for what is not told at once, or cannot be meant. */
export function checkLogRequest(request: ReadLogRequest): ReadLogRequest {
  checkLimit(request.limit);
  if (request.search.length > insightBounds.searchMax) {
    const text = `Search for at most ${insightBounds.searchMax} characters.`;
    throw new MeshError("INVALID_ARGUMENT", text);
  }
  if (!request.all || (request.node === "" && request.after <= 0)) return request;
  const text = "Ask for all hosts, or for one of them; only the log of one can be followed.";
  throw new MeshError("INVALID_ARGUMENT", text);
}

function checkLimit(limit: number): number {
  if (limit >= 1 && limit <= insightBounds.limitMax) return limit;
  const text = `A limit is 1 to ${insightBounds.limitMax}, not ${limit}.`;
  throw new MeshError("INVALID_ARGUMENT", text);
}

/** The actions that a filter names, in its order, and how many there are. */
function listed(
  { recorder }: Watched,
  { filter, limit, skip }: ListActionsRequest,
): { readonly records: readonly ActionRecord[]; readonly total: number } {
  const all = filtered(recorder, filter);
  return { records: all.slice(skip, skip + limit), total: all.length };
}

function filtered(recorder: Watched["recorder"], filter: string): ActionRecord[] {
  const unfinished = () => [...recorder.unfinished()];
  switch (filter) {
    case "unfinished":
      return unfinished();
    case "running":
    case "queued":
      return unfinished().filter(({ state }) => state === filter);
    case "ended":
      return [...recorder.ended()];
    case "failed":
      return [...recorder.ended()].filter(({ state }) => state === "failed");
    case "slow":
      return [...recorder.ended()]
        .filter(({ runMs }) => runMs !== undefined)
        .sort((a, b) => (b.runMs ?? 0) - (a.runMs ?? 0));
    default:
      throw new MeshError(
        "INVALID_ARGUMENT",
        `There is no filter ${JSON.stringify(filter.slice(0, 40))}. ` +
          "Choose unfinished, running, queued, ended, failed or slow.",
      );
  }
}

/** Digits of a hash that are enough to name it. */
const hashDigitsMin = 6;

/** The last action that a text means. NOT_FOUND where there is none. */
function find({ recorder }: Watched, text: string): ActionRecord {
  const wanted = text.trim().slice(0, insightBounds.textMax);
  const hash = /^(?:[a-z0-9]+:)?([0-9a-f]{6,128})(?:\/\d+)?$/.exec(wanted)?.[1];
  const isMeant = ({ request, waiters }: ActionRecord) =>
    (hash !== undefined && request.action.hash.startsWith(hash)) ||
    waiters.some(({ operation }) => isCalled(operation, wanted)) ||
    request.kind.includes(wanted);
  const unfinished = wanted === "" ? [] : [...recorder.unfinished()].filter(isMeant);
  const found = unfinished.at(-1) ?? (wanted === "" ? undefined : first(recorder.ended(), isMeant));
  if (found !== undefined) return found;
  throw new MeshError(
    "NOT_FOUND",
    `No action here is ${JSON.stringify(wanted.slice(0, 80))}. Name it by its operation, ` +
      `${hashDigitsMin} digits or more of its digest, or a part of target and mnemonic: ` +
      "`builder remote actions` lists them. Those that ended long ago are forgotten.",
  );
}

function first<T>(all: Iterable<T>, passes: (one: T) => boolean): T | undefined {
  for (const one of all) if (passes(one)) return one;
  return undefined;
}

/** The operations that a text means: one by its name, or those of an invocation. */
function operationsOf({ recorder }: Watched, what: string, user: string): string[] {
  if (what === "") return [];
  return [...recorder.unfinished()].flatMap(({ waiters }) =>
    waiters
      .filter((waiter) => user === "" || waiter.user === user)
      .filter((waiter) => isCalled(waiter.operation, what) || waiter.invocation === what)
      .map(({ operation }) => operation),
  );
}
