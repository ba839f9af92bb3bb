// The mesh as a picture: hosts, how busy they are, bad links, and who takes work from whom.

import type { HostFigures } from "../wire/gen/builder/node/v1/insight.ts";
import type { Steals } from "./live.ts";
import { name } from "./text.ts";

/** What is drawn. */
export interface MeshMapProps {
  readonly hosts: readonly HostFigures[];
  readonly steals: readonly Steals[];
  /** Peer id of the coordinator. */
  readonly leader: string;
}

/** Up to so many hosts stand on a circle with their links, more of them in rows. */
const circleMax = 16;
/** Up to so many have their names below them; a pointer shows each. */
const namedMax = 60;
const width = 800;

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Draws it; the tables beside it say the same. */
export function MeshMap({ hosts, steals, leader }: MeshMapProps) {
  const { placeByPeer, height, radius } = layOut(hosts);
  const isCircle = hosts.length <= circleMax;
  return (
    <section aria-labelledby="map">
      <h2 id="map">Mesh</h2>
      <p class="quiet">
        Rings and numbers: busy slots. ★ coordinates, ? is silent. Broken lines are late; arrows
        show whose work was taken, thick ones in the last 10 s.
      </p>
      <div class="wide">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          class="map"
          role="img"
          aria-label={inWords(hosts, steals)}
        >
          <ArrowHead />
          <Links {...{ hosts, placeByPeer }} />
          {hosts.map((host) => (
            <Host
              key={host.peer}
              {...{ host, radius, place: placeByPeer.get(host.peer) ?? { x: 0, y: 0 } }}
              leads={host.peer === leader}
              named={hosts.length <= namedMax}
              above={isCircle && (placeByPeer.get(host.peer)?.y ?? 0) < height / 2}
            />
          ))}
          {steals.map((pair) => (
            <Arrow
              key={`${pair.from} ${pair.to}`}
              {...{ pair, radius }}
              from={placeByPeer.get(pair.from)}
              to={placeByPeer.get(pair.to)}
            />
          ))}
        </svg>
      </div>
    </section>
  );
}

/** Links of few hosts, of more only those that are bad. */
function Links(given: {
  readonly hosts: readonly HostFigures[];
  readonly placeByPeer: ReadonlyMap<string, Place>;
}) {
  const { hosts, placeByPeer } = given;
  const isCircle = hosts.length <= circleMax;
  const links = hosts.flatMap((host) =>
    host.links
      .filter(({ peer, late }) => placeByPeer.has(peer) && (late > 0 || isCircle))
      .filter(({ peer, late }) => late > 0 || host.peer < peer)
      .map((link) => ({
        ...link,
        host,
        from: placeByPeer.get(host.peer),
        to: placeByPeer.get(link.peer),
      })),
  );
  return (
    <>
      {links.map(({ host, from, to, late, peer, name: other }) => (
        <line
          key={`${host.peer} ${peer}`}
          class={late > 0 ? "late" : ""}
          x1={from?.x}
          y1={from?.y}
          x2={to?.x}
          y2={to?.y}
        >
          <title>{name(`${host.name} to ${other}, ${late} answers late`)}</title>
        </line>
      ))}
    </>
  );
}

function ArrowHead() {
  return (
    <defs>
      <marker
        id="head"
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto"
        markerUnits="userSpaceOnUse"
      >
        <path d="M0 0 L8 4 L0 8 z" />
      </marker>
    </defs>
  );
}

function layOut(hosts: readonly HostFigures[]) {
  const count = hosts.length;
  if (count <= circleMax) {
    const height = 400;
    const places = hosts.map(({ peer }, index): [string, Place] => {
      const turn = (2 * Math.PI * index) / count - Math.PI / 2;
      return [peer, { x: width / 2 + 280 * Math.cos(turn), y: height / 2 + 130 * Math.sin(turn) }];
    });
    return { placeByPeer: new Map(places), height, radius: 22 };
  }
  const columns = count <= namedMax ? 8 : 20;
  const cell = width / columns;
  const radius = Math.min(22, cell / 2 - 3);
  const deep = count <= namedMax ? 76 : cell + 2;
  const places = hosts.map(({ peer }, index): [string, Place] => {
    const row = Math.floor(index / columns);
    return [peer, { x: ((index % columns) + 0.5) * cell, y: row * deep + radius + 6 }];
  });
  return { placeByPeer: new Map(places), height: Math.ceil(count / columns) * deep + 10, radius };
}

function Host(given: {
  readonly host: HostFigures;
  readonly place: Place;
  readonly radius: number;
  readonly leads: boolean;
  readonly named: boolean;
  /** Its name stands above it, where no arrow comes. */
  readonly above: boolean;
}) {
  const { host, place, radius, leads, named, above } = given;
  const own = host.workers.filter(({ home }) => home === host.peer);
  const slots = own.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = slots - own.reduce((sum, worker) => sum + worker.free, 0);
  const around = 2 * Math.PI * radius;
  const label = name(host.name);
  return (
    <g transform={`translate(${place.x} ${place.y})`}>
      <title>{`${label}: ${host.silent ? "silent" : `${busy} of ${slots} slots busy`}`}</title>
      <circle r={radius} class={host.silent ? "silent" : "host"} />
      <circle
        r={radius}
        class="busy"
        stroke-dasharray={`${slots === 0 ? 0 : (around * busy) / slots} ${around}`}
        transform="rotate(-90)"
      />
      <text class="count" dy="5">
        {host.silent ? "?" : `${busy}/${slots}`}
      </text>
      {named && (
        <text class="label" dy={above ? -radius - 9 : radius + 18}>
          {leads ? "★ " : ""}
          {label.length > 16 ? `${label.slice(0, 15)}…` : label}
        </text>
      )}
    </g>
  );
}

/** From whose work it was to who took it, bent so that both ways can be told apart. */
function Arrow(given: {
  readonly pair: Steals;
  readonly radius: number;
  readonly from: Place | undefined;
  readonly to: Place | undefined;
}) {
  const { pair, from, to, radius } = given;
  if (from === undefined || to === undefined) return null;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.max(1, Math.hypot(dx, dy));
  const [ux, uy] = [dx / length, dy / length];
  const rim = radius + 5;
  const bend = 0.12 * length;
  const middle = { x: from.x + dx / 2 - uy * bend, y: from.y + dy / 2 + ux * bend };
  const path =
    `M${from.x + ux * rim} ${from.y + uy * rim} Q${middle.x} ${middle.y} ` +
    `${to.x - ux * rim} ${to.y - uy * rim}`;
  return (
    <path d={path} class={pair.now > 0 ? "steal now" : "steal"} marker-end="url(#head)">
      <title>{`${pair.total} actions taken, ${pair.now} in the last 10 s`}</title>
    </path>
  );
}

function inWords(hosts: readonly HostFigures[], steals: readonly Steals[]): string {
  const silent = hosts.filter((host) => host.silent).length;
  const now = steals.reduce((sum, pair) => sum + pair.now, 0);
  return (
    `${hosts.length} hosts, ${silent} of them silent; ${now} actions taken by other hosts in the ` +
    "last 10 s; the tables below say the same"
  );
}
