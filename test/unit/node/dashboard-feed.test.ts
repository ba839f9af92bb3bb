import { expect, test } from "vitest";
import { createFeed, type FeedSources, feedBounds } from "../../../src/node/dashboard-feed.ts";
import { inShort } from "../../../src/node/dashboard-figures.ts";
import type { MeshFigures } from "../../../src/wire/gen/builder/node/v1/insight.ts";
import { Status } from "../../../src/wire/gen/builder/node/v1/node.ts";

/** A node of which every figure can be set, and a clock that ticks when told. */
function setUp(over: Partial<FeedSources> = {}) {
  const clock = { ms: 1_000_000 };
  const asked = { figures: 0 };
  const node = { pending: 0, fails: false };
  const sources: FeedSources = {
    status: () => Status.fromPartial({ version: "t", pending: node.pending }),
    cache: () => ({
      ...{ storeBytes: 1, storeBytesMax: 2, here: 3, peer: 4, nowhere: 5, copied: 6, single: 7 },
    }),
    insight: {
      figures: async () => {
        asked.figures += 1;
        if (node.fails) throw new Error("nobody answers");
        return { hosts: [], troubles: [] };
      },
      actions: async () => ({ actions: [], total: 0, silent: [] }),
      build: () => Promise.reject(new Error("unused")),
      explain: () => Promise.reject(new Error("unused")),
      log: () => Promise.reject(new Error("unused")),
      cancel: () => Promise.reject(new Error("unused")),
    },
    invocations: { list: () => [] },
    ...{ now: () => clock.ms, log: () => undefined },
    ...over,
  };
  let task = () => {};
  const feed = createFeed(sources, (wanted) => {
    task = wanted;
    return () => {
      task = () => {};
    };
  });
  async function tick(): Promise<void> {
    clock.ms += feedBounds.everyMs;
    task();
    await settled();
  }
  return { feed, tick, asked, node };
}

/** Everything that was promised without time passing. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function reader() {
  const page = {
    ready: true,
    ended: false,
    events: [] as { section: string; value: never }[],
    isReady: () => page.ready,
    send: (frame: Uint8Array) => {
      const [, section = "", json = ""] =
        /^event: (\w+)\ndata: (.*)\n\n$/.exec(Buffer.from(frame).toString()) ?? [];
      page.events.push({ section, value: JSON.parse(json) as never });
    },
    end: () => {
      page.ended = true;
    },
    /** Sections that came since the last call. */
    fresh: () => page.events.splice(0).map(({ section }) => section),
  };
  return page;
}

test("nobody is asked for anything while no page is open", async () => {
  const { feed, tick, asked } = setUp();
  await tick();
  await tick();
  expect(asked.figures).toBe(0);
  const page = reader();
  const leave = feed.open(page);
  await settled();
  expect(asked.figures).toBe(1);
  leave();
  await tick();
  expect(asked.figures).toBe(1);
  expect(feed.readers).toBe(0);
});

test("a page gets everything at once, then what has changed, and each moment", async () => {
  const { feed, tick, node } = setUp();
  await tick();
  await tick();
  const page = reader();
  feed.open(page);
  await settled();
  const history = page.events.at(-1);
  expect(history?.value).toHaveLength(2);
  expect(page.fresh()).toEqual([
    ...["status", "figures", "steals", "actions", "decisions", "invocations", "cache", "history"],
  ]);
  await tick();
  expect(page.events.at(-1)?.value).toHaveLength(1);
  expect(page.fresh(), "nothing has changed").toEqual(["history"]);
  node.pending = 7;
  await tick();
  expect(page.events[0]?.value).toMatchObject({ pending: 7 });
  expect(page.fresh()).toEqual(["status", "history"]);
  const other = reader();
  feed.open(other);
  await settled();
  expect(other.events.at(-1)?.value).toHaveLength(4);
  expect(page.fresh(), "another page tells this one nothing").toEqual([]);
});

test("a page that takes nothing up gets nothing more and is let go; the others go on", async () => {
  const { feed, tick, node } = setUp();
  const [slow, quick] = [reader(), reader()];
  feed.open(slow);
  feed.open(quick);
  await tick();
  slow.fresh();
  slow.ready = false;
  for (let second = 0; second < 5; second += 1) {
    node.pending += 1;
    await tick();
  }
  expect(slow.fresh()).toEqual([]);
  // It catches up with the newest, and with the moments it missed.
  slow.ready = true;
  await tick();
  expect(slow.events.find(({ section }) => section === "status")?.value).toMatchObject({
    pending: 5,
  });
  expect(slow.events.at(-1)?.value).toHaveLength(6);
  slow.ready = false;
  for (let second = 0; second < feedBounds.stuckMs / feedBounds.everyMs; second += 1) await tick();
  expect(slow.ended).toBe(false);
  await tick();
  expect(slow.ended).toBe(true);
  expect(quick.ended).toBe(false);
  expect(feed.readers).toBe(1);
});

test("a mesh that does not answer costs nothing but its figures", async () => {
  const { feed, tick, node } = setUp();
  node.fails = true;
  const page = reader();
  feed.open(page);
  await tick();
  expect(page.fresh()).toEqual([]);
  node.fails = false;
  await tick();
  expect(page.fresh()).toContain("figures");
  feed.close();
  expect(page.ended).toBe(true);
});

test("decisions are followed across what the record has dropped", async () => {
  const all = Array.from({ length: 250 }, (_, at) => `{"decision":${at}}`);
  const asked: number[] = [];
  const record = (from: number, limit: number) => {
    asked.push(from);
    const begin = Math.max(from, 30);
    const lines = all.slice(begin, begin + limit);
    return { lines, next: begin + lines.length, dropped: begin - from };
  };
  const { feed, tick } = setUp({ record: record as never });
  const page = reader();
  feed.open(page);
  await settled();
  const told = page.events.find(({ section }) => section === "decisions")?.value;
  expect(told).toEqual(all.slice(-feedBounds.decisions));
  all.push('{"decision":"new"}');
  page.fresh();
  await tick();
  const again = page.events.find(({ section }) => section === "decisions")?.value as unknown;
  expect((again as string[]).at(-1)).toBe('{"decision":"new"}');
  expect(asked.at(-2), "what was read is not read again").toBe(250);
});

test("figures in short hold each worker once, at its host, with what all counted", () => {
  const worker = { slots: 4, free: 1, queued: 0, draining: false, ended: 1, stolen: 0, lost: 0 };
  const times = { fetch: undefined, setUp: undefined, store: undefined };
  const told = (more: object) =>
    ({ ...worker, ...times, run: undefined, peer: "w", name: "w", home: "b", ...more }) as never;
  const host = (peer: string, workers: never[]) =>
    ({ peer, name: peer, silent: false, workers, links: [], beats: [{}], waits: [] }) as never;
  const run = { p50Ms: 9, p95Ms: 10 };
  const figures: MeshFigures = {
    troubles: ["x"],
    hosts: [host("a", [told({ ended: 5, stolen: 5, free: 3, run })]), host("b", [told({})])],
  };
  const short = inShort(figures);
  expect(short.hosts.map(({ workers }) => workers.length)).toEqual([0, 1]);
  expect(short.hosts[1]?.workers[0]).toMatchObject({ ended: 6, stolen: 5, free: 1, run });
  expect(short.hosts[0]?.beats).toEqual([]);
  expect(short.troubles).toEqual(["x"]);
});
