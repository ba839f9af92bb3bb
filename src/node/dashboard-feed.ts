// What pages of the dashboard see, taken once a second however many are open; of the mesh nothing
// is asked while none is. Each page is sent a section when that has changed.

import type { BuildEvents } from "../ingress/build-events.ts";
import type { Insight } from "../ingress/insight.ts";
import type { ScalingControl } from "../ingress/mesh-control.ts";
import type { CacheFigures, Live, Moment } from "../page/live.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Status } from "../wire/gen/builder/node/v1/node.ts";
import { createStealWatch, inShort } from "./dashboard-figures.ts";

/** Where the figures come from. */
export interface FeedSources {
  readonly status: () => Status;
  readonly cache: () => CacheFigures;
  readonly insight: Insight;
  /** Undefined for a node that does not scale. */
  readonly record?: ScalingControl["record"];
  readonly invocations: Pick<BuildEvents, "list">;
  readonly now: () => number;
  readonly log: Log;
}

/** One page. */
export interface Reader {
  /** False while it has not taken up what it was sent. */
  isReady(): boolean;
  /** Sends an event, framed (Server-Sent Events, WHATWG HTML 9.2). */
  send(frame: Uint8Array): void;
  end(): void;
}

/** The source of all open pages. */
export interface Feed {
  /** Begins to send; call what it returns once the page is gone. */
  open(reader: Reader): () => void;
  readonly readers: number;
  close(): void;
}

/** Does something again and again, until what it returns is called. */
export type Repeat = (task: () => void, everyMs: number) => () => void;

/** Times and bounds of the feed. */
export const feedBounds = {
  everyMs: 1_000,
  /** Moments kept: a quarter of an hour. */
  moments: 900,
  /** Unfinished actions sent; the others can be asked for. */
  actions: 200,
  decisions: 100,
  /** A page that takes nothing up for so long, in ms, is let go. */
  stuckMs: 30_000,
};

type Section = keyof Live;

/** A section as it was sent last; frames are shared by all pages. */
interface Told {
  readonly json: string;
  readonly frame: Uint8Array;
}

/** What a page has. */
interface Held {
  readonly had: Map<Section, Told>;
  momentMs: number;
  stuckSinceMs: number | undefined;
}

/** Makes the feed; moments are noted from now on. */
export function createFeed(sources: FeedSources, repeat: Repeat = inIntervals): Feed {
  const readers = new Map<Reader, Held>();
  const latest = new Map<Section, Told>();
  const history: Moment[] = [];
  const decisions = followDecisions(sources.record);
  const steals = createStealWatch(sources.now);
  let isLooking = false;

  function note(): void {
    history.push(momentOf(sources.status(), sources.now()));
    if (history.length > feedBounds.moments) history.shift();
  }

  /** Pages that take up what they are sent; one that does not for long is let go. */
  function readyOnes(): [Reader, Held][] {
    const nowMs = sources.now();
    return [...readers].filter(([reader, held]) => {
      if (reader.isReady()) {
        held.stuckSinceMs = undefined;
        return true;
      }
      held.stuckSinceMs ??= nowMs;
      if (nowMs - held.stuckSinceMs < feedBounds.stuckMs) return false;
      readers.delete(reader);
      reader.end();
      return false;
    });
  }

  /** Sends each page what it does not have yet. */
  function tell(to: readonly [Reader, Held][], sections: Partial<Live>): void {
    for (const [section, value] of Object.entries(sections) as [Section, unknown][]) {
      const json = JSON.stringify(value);
      const known = latest.get(section);
      const told = known?.json === json ? known : { json, frame: frameOf(section, json) };
      latest.set(section, told);
      for (const [reader, { had }] of to) {
        if (had.get(section) === told) continue;
        had.set(section, told);
        reader.send(told.frame);
      }
    }
  }

  function tellHistory(to: readonly [Reader, Held][]): void {
    for (const [reader, held] of to) {
      const fresh = history.filter(({ atMs }) => atMs > held.momentMs);
      if (fresh.length === 0) continue;
      held.momentMs = fresh.at(-1)?.atMs ?? held.momentMs;
      reader.send(frameOf("history", JSON.stringify(fresh)));
    }
  }

  async function look(): Promise<void> {
    if (readers.size === 0 || isLooking) return;
    isLooking = true;
    try {
      const { status, cache, insight, invocations } = sources;
      const [figures, actions] = await Promise.all([
        insight.figures(),
        insight.actions({ filter: "unfinished", limit: feedBounds.actions, skip: 0 }),
      ]);
      const to = readyOnes();
      tell(to, { status: status(), figures: inShort(figures), steals: steals(figures), actions });
      tell(to, { decisions: decisions(), invocations: invocations.list(), cache: cache() });
      tellHistory(to);
    } catch (error) {
      sources.log("debug", `The dashboard has no figures: ${String(error)}`);
    } finally {
      isLooking = false;
    }
  }

  const stop = repeat(() => {
    note();
    void look();
  }, feedBounds.everyMs);
  return {
    open: (reader) => {
      readers.set(reader, { had: new Map(), momentMs: 0, stuckSinceMs: undefined });
      void look();
      return () => void readers.delete(reader);
    },
    get readers() {
      return readers.size;
    },
    close: () => {
      stop();
      for (const reader of readers.keys()) reader.end();
      readers.clear();
    },
  };
}

function inIntervals(task: () => void, everyMs: number): () => void {
  const timer = setInterval(task, everyMs).unref();
  return () => clearInterval(timer);
}

/** JSON has no line ends of its own, so one line of data is enough. */
function frameOf(section: Section, json: string): Uint8Array {
  return Buffer.from(`event: ${section}\ndata: ${json}\n\n`);
}

function momentOf(status: Status, atMs: number): Moment {
  const { ended = 0, cacheHits = 0, cacheLookups = 0 } = status.actions ?? {};
  return {
    atMs,
    queued: status.pending,
    running: status.executing,
    workers: status.workers.length,
    slots: status.workers.reduce((sum, { slots }) => sum + slots, 0),
    ...{ ended, hits: cacheHits, lookups: cacheLookups },
    predictedLoad: status.scaling?.decision?.predictedLoad,
  };
}

/** Follows the record: what is new is read once. */
function followDecisions(record: FeedSources["record"]): () => readonly string[] {
  let lines: string[] = [];
  let from = 0;
  return () => {
    while (record !== undefined) {
      const page = record(from, feedBounds.decisions, true);
      from = page.next;
      lines = [...lines, ...page.lines].slice(-feedBounds.decisions);
      if (page.lines.length === 0) break;
    }
    return lines;
  };
}
