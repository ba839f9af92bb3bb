// Is the cache working: hits over time, the store's size, and where blobs came from.

import { useMemo } from "preact/hooks";
import { Chart } from "./chart.tsx";
import type { Seen } from "./follow.ts";
import { Heads } from "./heads.tsx";
import type { CacheFigures, Moment } from "./live.ts";
import { bytes, share } from "./text.ts";
import { Tiles } from "./tiles.tsx";

/** The view of the cache. */
export function Cache({ status, cache, history = [] }: Seen) {
  const perSecond = useMemo(() => answersPerSecond(history), [history]);
  if (status === undefined || cache === undefined) return <p>Waiting for the node's first word…</p>;
  const { cacheHits: hits = 0, cacheLookups: lookups = 0 } = status.actions ?? {};
  const { copied, single } = cache;
  return (
    <>
      <section aria-labelledby="results">
        <h2 id="results">Results of actions</h2>
        <Tiles
          of="cache"
          rows={[
            ["hits", "Hit rate", share(hits, lookups, 1)],
            ["answered", "Hits", `${hits}`],
            ["missed", "Misses", `${lookups - hits}`],
            ["store", "Store", bytes(cache.storeBytes)],
            ["full", "Full", share(cache.storeBytes, cache.storeBytesMax, 1)],
            ["copied", "Writes with a second copy", `${copied} of ${copied + single}`],
          ]}
        />
        <Chart
          title="Answers of the cache a second"
          times={perSecond.map(({ atMs }) => atMs)}
          lines={[
            { label: "hits", color: "--cool", values: perSecond.map((one) => one.hits) },
            {
              label: "misses",
              color: "--warm",
              values: perSecond.map((one) => one.misses),
              dash: [6, 3],
            },
          ]}
        />
        <p class="quiet">
          Why an action was not in the cache: choose it in the view Actions, or ask with bldr build
          --explain.
        </p>
      </section>
      <Sources {...cache} />
    </>
  );
}

function Sources({ here, peer, nowhere }: CacheFigures) {
  const wanted = here + peer + nowhere;
  const sources = [
    ["In this host's store", here],
    ["Fetched from another host", peer],
    ["Nowhere", nowhere],
  ] as const;
  return (
    <section aria-labelledby="sources">
      <h2 id="sources">Blobs that clients of this node wanted</h2>
      <table>
        <Heads names={["Where", "Blobs", "Share"]} />
        <tbody>
          {sources.map(([where, count]) => (
            <tr key={where}>
              <th scope="row">{where}</th>
              <td class="number">{count}</td>
              <td class="number">
                {share(count, wanted, 1)}{" "}
                <meter value={count} max={Math.max(1, wanted)} aria-hidden="true" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Totals as what came between two moments; a node that was started anew begins at 0 again. */
function answersPerSecond(history: readonly Moment[]) {
  return history.slice(1).map(({ atMs, hits, lookups }, at) => {
    const before = history[at] ?? { atMs, hits, lookups };
    const seconds = Math.max(0.001, (atMs - before.atMs) / 1000);
    const of = (more: number) => Math.round((10 * Math.max(0, more)) / seconds) / 10;
    const misses = lookups - hits - (before.lookups - before.hits);
    return { atMs, hits: of(hits - before.hits), misses: of(misses) };
  });
}
