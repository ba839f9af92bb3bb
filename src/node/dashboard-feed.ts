// What pages of the dashboard see, taken once a second however many are open, and not at all while
// none is. Each page is sent a section when that has changed.

import type { BuildEvents } from "../ingress/build-events.ts";
import type { Insight } from "../ingress/insight.ts";
import type { ScalingControl } from "../ingress/mesh-control.ts";
import type { Live, Moment } from "../page/live.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Status } from "../wire/gen/builder/node/v1/node.ts";

/** Where the figures come from. */
export interface FeedSources {
  readonly status: () => Status;
  readonly insight: Insight;
  /** Undefined for a node that does not scale. */
  readonly record?: ScalingControl["record"];
  readonly invocations: Pick<BuildEvents, "list">;
  readonly now: () => number;
  readonly log: Log;
}

/** One page. */
export interface Reader {
  /** Sends one event; false where the reader is too slow and is to be let go. */
  send(section: string, json: string): boolean;
  end(): void;
}

/** The source of all open pages. */
export interface Feed {
  /** Begins to send; call what it returns once the page is gone. */
  open(reader: Reader): () => void;
  readonly readers: number;
  close(): void;
}

/** Times and bounds of the feed. */
export const feedBounds = {
  everyMs: 1_000,
  /** Moments kept: a quarter of an hour. */
  moments: 900,
  /** Unfinished actions sent; the others can be asked for. */
  actions: 200,
  decisions: 100,
};

type Section = keyof Live;

/** Makes the feed; moments are noted from now on. */
export function createFeed(sources: FeedSources): Feed {
  const readers = new Map<Reader, Map<Section, string>>();
  const history: Moment[] = [];
  const decisions = followDecisions(sources.record);
  let isLooking = false;

  function note(): Moment {
    const moment = momentOf(sources.status(), sources.now());
    history.push(moment);
    if (history.length > feedBounds.moments) history.shift();
    return moment;
  }

  /** Sends what a reader does not have yet. */
  function tell(reader: Reader, section: Section, json: string): void {
    const had = readers.get(reader);
    if (had === undefined || had.get(section) === json) return;
    had.set(section, json);
    if (reader.send(section, json)) return;
    readers.delete(reader);
    reader.end();
  }

  async function look(): Promise<void> {
    const moment = note();
    if (readers.size === 0 || isLooking) return;
    isLooking = true;
    try {
      const { insight, invocations } = sources;
      const [figures, actions] = await Promise.all([
        insight.figures(),
        insight.actions({ filter: "unfinished", limit: feedBounds.actions, skip: 0 }),
      ]);
      const live: Omit<Live, "history"> = {
        status: sources.status(),
        figures,
        actions,
        decisions: decisions(),
        invocations: invocations.list(),
      };
      const sections = Object.entries(live) as [Section, unknown][];
      for (const [section, value] of sections) {
        const json = JSON.stringify(value);
        for (const reader of [...readers.keys()]) tell(reader, section, json);
      }
      for (const [reader, had] of [...readers]) {
        const moments = had.has("history") ? [moment] : history;
        tell(reader, "history", JSON.stringify(moments));
      }
    } catch (error) {
      sources.log("debug", `The dashboard has no figures: ${String(error)}`);
    } finally {
      isLooking = false;
    }
  }

  const timer = setInterval(() => void look(), feedBounds.everyMs);
  timer.unref();
  return {
    open: (reader) => {
      readers.set(reader, new Map());
      void look();
      return () => void readers.delete(reader);
    },
    get readers() {
      return readers.size;
    },
    close: () => {
      clearInterval(timer);
      for (const reader of readers.keys()) reader.end();
      readers.clear();
    },
  };
}

function momentOf(status: Status, atMs: number): Moment {
  return {
    atMs,
    queued: status.pending,
    running: status.executing,
    workers: status.workers.length,
    slots: status.workers.reduce((sum, { slots }) => sum + slots, 0),
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
