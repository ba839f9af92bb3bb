// How many machines there are, are to be, and why: the last decisions.

import type { Seen } from "./follow.ts";
import { clock, name, share, time } from "./text.ts";

interface Decision {
  readonly atMs: number;
  readonly decision: {
    readonly target: number;
    readonly because: string;
    readonly load: number;
    readonly heldBack?: { readonly why: string };
  };
}

/** The view of scaling. */
export function Scaling({ status, decisions = [] }: Seen) {
  const scaling = status?.scaling;
  if (scaling === undefined) return <p>This node tells nothing of scaling.</p>;
  const { mode, provider, min, max, ready, booting, draining, decision } = scaling;
  return (
    <>
      <section aria-labelledby="machines">
        <h2 id="machines">Autoscaling: {mode}</h2>
        <dl class="tiles">
          <Tile label="Machines of" value={provider || "this host's processes"} />
          <Tile label="Ready" value={`${ready}`} />
          <Tile label="Booting" value={`${booting}`} />
          <Tile label="Draining" value={`${draining}`} />
          <Tile label="Bounds" value={`${min} to ${max}`} />
          <Tile label="Predicted load" value={decision ? share(decision.predictedLoad, 1) : "-"} />
          <Tile label="Slot time idle today" value={share(scaling.idleSlotMs, scaling.slotMs)} />
          <Tile label="Machine time today" value={time(scaling.machineMs)} />
        </dl>
        {decision !== undefined && (
          <p>
            {decision.target} wanted: <bdi>{name(decision.because)}</bdi>.
            {decision.heldBackWhy && ` Held back: ${name(decision.heldBackWhy)}.`}
          </p>
        )}
      </section>
      <section aria-labelledby="decisions">
        <h2 id="decisions">Decisions</h2>
        <div class="wide">
          <table>
            <thead>
              <tr>
                {["When", "Wanted", "Load", "Why", "Held back by"].map((head) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {decisions.toReversed().map((line) => {
                const made: Decision = JSON.parse(line);
                const { target, because, load, heldBack } = made.decision;
                return (
                  <tr key={line}>
                    <th scope="row">{clock(made.atMs)}</th>
                    <td class="number">{target}</td>
                    <td class="number">{share(load, 1)}</td>
                    <td>{name(because)}</td>
                    <td>{heldBack === undefined ? "nothing" : name(heldBack.why)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

function Tile({ label, value }: { readonly label: string; readonly value: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <bdi>{name(value)}</bdi>
      </dd>
    </div>
  );
}
