// Hosts and their workers: a map of who is linked with whom, and tables that say the same.

import type { HostFigures } from "../wire/gen/builder/node/v1/insight.ts";
import type { Seen } from "./follow.ts";
import { Heads } from "./heads.tsx";
import type { Steals } from "./live.ts";
import { MeshMap } from "./mesh-map.tsx";
import { name, time } from "./text.ts";

/** The view of the machines. */
export function Nodes({ figures, status, steals = [] }: Seen) {
  const hosts = figures?.hosts ?? [];
  return (
    <>
      {hosts.length > 1 && <MeshMap hosts={hosts} steals={steals} leader={status?.leader ?? ""} />}
      <section aria-labelledby="hosts">
        <h2 id="hosts">Hosts</h2>
        <div class="wide">
          <table>
            <Heads
              names={["Host", "State", "Queued", "Running", "Ended", "Failed", "Load", "Lag"]}
            />
            <tbody>
              {hosts.map((host) => (
                <HostRow key={host.peer} host={host} leads={host.peer === status?.leader} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
      <Workers hosts={hosts} />
      <Taken hosts={hosts} steals={steals} />
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
  const workers = hosts.flatMap((host) => host.workers);
  const heads = ["Worker", "Slots", "Free", "Ended", "Taken", "Lost", "Fetch", "Run", "Store"];
  return (
    <section aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      <p class="quiet">Times are the median and the slowest of twenty of what ended lately.</p>
      <div class="wide">
        <table>
          <Heads names={heads} />
          <tbody>
            {workers.map((worker) => (
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

/** Who took whose work. */
function Taken({
  hosts,
  steals,
}: {
  readonly hosts: readonly HostFigures[];
  readonly steals: readonly Steals[];
}) {
  const nameByPeer = new Map(hosts.map((host) => [host.peer, host.name]));
  if (steals.length === 0) return null;
  return (
    <section aria-labelledby="taken">
      <h2 id="taken">Work taken by other hosts</h2>
      <div class="wide">
        <table>
          <Heads names={["From", "By", "In the last 10 s", "Since the start"]} />
          <tbody>
            {steals.map(({ from, to, total, now }) => (
              <tr key={`${from} ${to}`}>
                <th scope="row">
                  <bdi>{name(nameByPeer.get(from) ?? from)}</bdi>
                </th>
                <td>
                  <bdi>{name(nameByPeer.get(to) ?? to)}</bdi>
                </td>
                <td class="number">{now}</td>
                <td class="number">{total}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
