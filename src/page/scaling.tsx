// How many machines there are, are to be, and why: the last decisions.

import { useMemo } from "preact/hooks";
import type { Seen } from "./follow.ts";
import { Heads } from "./heads.tsx";
import { clock, name, share, time } from "./text.ts";
import { Tiles } from "./tiles.tsx";

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
export function Scaling({ status, decisions }: Seen) {
  const made = useMemo(
    () => (decisions ?? []).map((line): Decision => JSON.parse(line)).toReversed(),
    [decisions],
  );
  const scaling = status?.scaling;
  if (scaling === undefined) {
    return (
      <>
        <h2>Autoscaling</h2>
        <p>This node tells nothing of scaling.</p>
      </>
    );
  }
  const { mode, provider, min, max, ready, booting, draining, decision } = scaling;
  return (
    <>
      <section aria-labelledby="machines">
        <h2 id="machines">Autoscaling: {mode}</h2>
        <Tiles
          of="scaling"
          rows={[
            ["of", "Machines of", name(provider || "this host's processes")],
            ["ready", "Ready", `${ready}`],
            ["booting", "Booting", `${booting}`],
            ["draining", "Draining", `${draining}`],
            ["bounds", "Bounds", `${min} to ${max}`],
            ["load", "Predicted load", decision ? share(decision.predictedLoad, 1) : "-"],
            ["idle", "Slot time idle today", share(scaling.idleSlotMs, scaling.slotMs)],
            ["machines", "Machine time today", time(scaling.machineMs)],
          ]}
        />
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
            <Heads names={["When", "Wanted", "Load", "Why", "Held back by"]} />
            <tbody>
              {made.map(({ atMs, decision: { target, because, load, heldBack } }, at) => {
                return (
                  <tr key={made.length - at}>
                    <th scope="row">{clock(atMs)}</th>
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
