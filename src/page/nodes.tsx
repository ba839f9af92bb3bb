// Hosts and their workers: a map of who is linked with whom, and a table that says the same.

import type { HostFigures, WorkerFigures } from "../wire/gen/builder/node/v1/insight.ts";
import type { Seen } from "./follow.ts";
import { name, time } from "./text.ts";

/** Hosts on the map at most: of more it shows nothing that the table does not. */
const mapMax = 60;

/** The view of the machines. */
export function Nodes({ figures, status }: Seen) {
  const hosts = figures?.hosts ?? [];
  return (
    <>
      {hosts.length > 1 && hosts.length <= mapMax && (
        <MeshMap hosts={hosts} leader={status?.leader ?? ""} />
      )}
      <section aria-labelledby="hosts">
        <h2 id="hosts">Hosts</h2>
        <div class="wide">
          <table>
            <thead>
              <tr>
                {["Host", "State", "Queued", "Running", "Ended", "Failed", "Load", "Lag"].map(
                  (head) => (
                    <th key={head} scope="col">
                      {head}
                    </th>
                  ),
                )}
              </tr>
            </thead>
            <tbody>
              {hosts.map((host) => (
                <HostRow key={host.peer} host={host} leads={host.peer === status?.leader} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
      <Workers hosts={hosts} />
    </>
  );
}

function HostRow({ host, leads }: { readonly host: HostFigures; readonly leads: boolean }) {
  const state = host.silent ? "silent" : leads ? "coordinator" : "alive";
  return (
    <tr class={host.silent ? "bad" : ""}>
      <th scope="row">
        <bdi>{name(host.name)}</bdi>
      </th>
      <td>{state}</td>
      {host.silent ? (
        <td colSpan={6}>It did not answer within a second.</td>
      ) : (
        <>
          <td class="number">{host.pending}</td>
          <td class="number">{host.executing}</td>
          <td class="number">{host.ended}</td>
          <td class="number">{host.failed}</td>
          <td class="number">
            {(host.loadPercent / 100).toFixed(1)} of {host.cores}
          </td>
          <td class="number">{time(host.lagMs)}</td>
        </>
      )}
    </tr>
  );
}

function Workers({ hosts }: { readonly hosts: readonly HostFigures[] }) {
  // Each host tells of all workers that it is linked to; a worker's own host knows it best.
  const workers = new Map<string, WorkerFigures>();
  for (const host of hosts) {
    for (const worker of host.workers) {
      if (!workers.has(worker.peer) || worker.home === host.peer) workers.set(worker.peer, worker);
    }
  }
  const heads = ["Worker", "Slots", "Free", "Ended", "Taken", "Lost", "Fetch", "Run", "Store"];
  return (
    <section aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      <p class="quiet">Times are the median and the slowest of twenty of what ended lately.</p>
      <div class="wide">
        <table>
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {[...workers.values()].map((worker) => (
              <tr key={worker.peer}>
                <th scope="row">
                  <bdi>{name(worker.name)}</bdi>
                  {worker.draining && " (draining)"}
                </th>
                <td class="number">{worker.slots}</td>
                <td class="number">{worker.free}</td>
                <td class="number">{worker.ended}</td>
                <td class="number">{worker.stolen}</td>
                <td class="number">{worker.lost}</td>
                {[worker.fetch, worker.run, worker.store].map((times, at) => (
                  <td key={at} class="number">
                    {times === undefined ? "-" : `${time(times.p50Ms)} / ${time(times.p95Ms)}`}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Hosts on a circle, links between them, the share of busy slots as a filled ring. */
function MeshMap({
  hosts,
  leader,
}: {
  readonly hosts: readonly HostFigures[];
  readonly leader: string;
}) {
  const at = new Map(
    hosts.map(({ peer }, index) => {
      const turn = (2 * Math.PI * index) / hosts.length - Math.PI / 2;
      return [peer, { x: 300 + 190 * Math.cos(turn), y: 230 + 170 * Math.sin(turn) }];
    }),
  );
  const links = hosts.flatMap((host) =>
    host.links
      .filter(({ peer }) => at.has(peer) && host.peer < peer)
      .map((link) => ({ ...link, from: at.get(host.peer), to: at.get(link.peer) })),
  );
  return (
    <section aria-labelledby="map">
      <h2 id="map">Mesh</h2>
      <svg viewBox="0 0 600 460" class="map" role="img" aria-label={mapInWords(hosts)}>
        {links.map(({ from, to, late, peer, name: other }) => (
          <line
            key={`${from?.x} ${peer}`}
            class={late > 0 ? "late" : ""}
            x1={from?.x}
            y1={from?.y}
            x2={to?.x}
            y2={to?.y}
          >
            <title>{name(other)}</title>
          </line>
        ))}
        {hosts.map((host) => {
          const place = at.get(host.peer) ?? { x: 0, y: 0 };
          const own = host.workers.filter(({ home }) => home === host.peer);
          const slots = own.reduce((sum, worker) => sum + worker.slots, 0);
          const busy = slots - own.reduce((sum, worker) => sum + worker.free, 0);
          const around = 2 * Math.PI * 22;
          return (
            <g key={host.peer} transform={`translate(${place.x} ${place.y})`}>
              <circle r="22" class={host.silent ? "silent" : "host"} />
              <circle
                r="22"
                class="busy"
                stroke-dasharray={`${slots === 0 ? 0 : (around * busy) / slots} ${around}`}
                transform="rotate(-90)"
              />
              <text class="count" dy="5">
                {host.silent ? "?" : `${busy}/${slots}`}
              </text>
              <text class="label" dy="40">
                {host.peer === leader ? "★ " : ""}
                {name(host.name).slice(0, 18)}
              </text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

function mapInWords(hosts: readonly HostFigures[]): string {
  const silent = hosts.filter((host) => host.silent).length;
  return `${hosts.length} hosts, ${silent} of them silent; the table below says the same`;
}
