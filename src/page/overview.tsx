// How the mesh stands: the figures of `builder remote status`, what looks wrong, and the last time.

import type { Status } from "../wire/gen/builder/node/v1/node.ts";
import { Chart } from "./chart.tsx";
import type { Seen } from "./follow.ts";
import { name, share, time } from "./text.ts";
import { Tiles } from "./tiles.tsx";

/** The first view. */
export function Overview({ status, figures, history = [] }: Seen) {
  if (status === undefined) return <p>Waiting for the node's first word…</p>;
  const troubles = figures?.troubles ?? status.troubles;
  const times = history.map(({ atMs }) => atMs);
  return (
    <>
      <section aria-labelledby="troubles">
        <h2 id="troubles">What looks wrong</h2>
        {troubles.length === 0 ? (
          <p class="good">Nothing.</p>
        ) : (
          <ul class="troubles" aria-live="polite">
            {troubles.map((text) => (
              <li key={text}>{name(text)}</li>
            ))}
          </ul>
        )}
      </section>
      <Figures {...status} />
      <section aria-labelledby="course">
        <h2 id="course">The last quarter of an hour</h2>
        <div class="charts">
          <Chart
            title="Actions"
            times={times}
            lines={[
              { label: "queued", color: "--warm", values: history.map(({ queued }) => queued) },
              {
                label: "running",
                color: "--cool",
                values: history.map(({ running }) => running),
                dash: [6, 3],
              },
            ]}
          />
          <Chart
            title="Slots"
            times={times}
            lines={[
              { label: "slots", color: "--cool", values: history.map(({ slots }) => slots) },
              {
                label: "predicted need",
                color: "--warm",
                values: history.map(({ predictedLoad, slots }) =>
                  predictedLoad === undefined ? null : predictedLoad * slots,
                ),
                dash: [2, 3],
              },
            ]}
          />
        </div>
      </section>
    </>
  );
}

function Figures({
  workers,
  actions,
  pending,
  executing,
  uptimeMs,
  workStealing,
  leader,
  members,
}: Status) {
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const free = workers.reduce((sum, worker) => sum + worker.free, 0);
  const busy = workers.filter((worker) => worker.free < worker.slots).length;
  const { ended = 0, succeeded = 0, runMs = 0, cacheHits = 0, cacheLookups = 0 } = actions ?? {};
  const coordinator = members.find(({ peer }) => peer === leader)?.name ?? "none yet";
  const rows: readonly (readonly [id: string, label: string, value: string])[] = [
    ["workers", "Workers", `${workers.length}`],
    ["busy", "Busy", `${busy}`],
    ["utilization", "Utilization", share(slots - free, slots)],
    ["pending", "Pending", `${pending}`],
    ["executing", "Executing", `${executing}`],
    ["completed", "Completed", `${ended}`],
    ["success", "Success rate", share(succeeded, ended, 1)],
    ["hits", "Cache hit rate", share(cacheHits, cacheLookups, 1)],
    ["run", "Average run time", ended === 0 ? "-" : time(runMs / ended)],
    ["stealing", "Work stealing", workStealing ? "on" : "off"],
    ["coordinator", "Coordinator", name(coordinator)],
    ["uptime", "Up for", time(uptimeMs)],
  ];
  return (
    <section aria-labelledby="figures">
      <h2 id="figures">Figures</h2>
      <Tiles of="figure" rows={rows} />
    </section>
  );
}
