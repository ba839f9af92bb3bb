// A coordinator that keeps machines of a provider, as a process that can be killed at any await
// point of what it does. The cloud is its parent, over IPC.

import type { ProvidedMachine, Provider } from "../../src/cloud/provider.ts";
import { fixedSize } from "../../src/core/fixed-size.ts";
import type { Effect } from "../../src/core/machine.ts";
import { NodeCore } from "../../src/core/node.ts";
import { createRng } from "../../src/core/rng.ts";
import { scalingDefaults } from "../../src/core/scaling-settings.ts";
import { type BegunLaunches, openBegunLaunches } from "../../src/node/begun-launches.ts";
import { createProviderCalls, providerCallDefaults } from "../../src/node/provider-calls.ts";
import { startPump } from "../../src/node/pump.ts";

/** What the parent says first. */
export interface CoordinatorOrder {
  /** Where its launches are written down. */
  readonly folder: string;
  /** Machines it keeps. */
  readonly machines: number;
  /** It kills itself at the so many-th await point, from 1; 0: never. */
  readonly killAt: number;
  readonly bootMsMax: number;
}

/** What it asks its parent, the cloud. */
export type CloudCall =
  | { readonly nonce: number; readonly op: "launch"; readonly token: string }
  | { readonly nonce: number; readonly op: "terminate"; readonly ids: readonly string[] }
  | { readonly nonce: number; readonly op: "list" };

/** What it tells its parent now and then: the machines that it knows, and points passed. */
export interface Standing {
  readonly known: readonly string[];
  readonly points: number;
}

const waiting = new Map<number, (answer: unknown) => void>();
let points = 0;
let nonce = 0;

function ask(call: Record<string, unknown>): Promise<unknown> {
  nonce += 1;
  process.send?.({ ...call, nonce });
  return new Promise((resolve) => waiting.set(nonce, resolve));
}

function start({ folder, machines, killAt, bootMsMax }: CoordinatorOrder): void {
  const point = () => {
    points += 1;
    if (points === killAt) process.kill(process.pid, "SIGKILL");
  };
  /** An await point before a step and one after it. */
  const around = async <T>(step: () => T | Promise<T>): Promise<T> => {
    point();
    const result = await step();
    point();
    return result;
  };
  const provider: Provider = {
    name: "double",
    launch: ({ token }) =>
      around(async () => (await ask({ op: "launch", token })) as ProvidedMachine),
    terminate: (ids) => around(async () => void (await ask({ op: "terminate", ids }))),
    list: () => around(async () => (await ask({ op: "list" })) as ProvidedMachine[]),
    plan: () => [],
    close: async () => undefined,
  };
  const opened = openBegunLaunches(folder, Date.now);
  const begun: BegunLaunches = {
    left: opened.left,
    begin: (launch) => {
      point();
      opened.begin(launch);
      point();
    },
    end: (tokens) => {
      point();
      opened.end(tokens);
      point();
    },
  };
  const bounds = { ...scalingDefaults, min: machines, max: 5 };
  const core = new NodeCore(
    {
      ...{ self: "c", name: "c", slots: 0, properties: {}, isolation: "none", serves: true },
      membership: { serves: true, election: { leaseLostMs: 10, claimJitterMs: 1 } },
      fleet: { mode: "on", bounds, policy: fixedSize, slotsPerWorker: 1 },
      provided: { tag: "mesh", bootMsMax, listMs: 1_200, askAgainMs: 3_000, begun: begun.left },
    },
    createRng(1),
  );
  const perform = (effect: Effect) => {
    const isOurs = effect.kind === "provide" || effect.kind === "dismiss" || effect.kind === "list";
    if (isOurs) calls.perform(effect);
  };
  const pump = startPump(core, perform, Date.now);
  const calls = createProviderCalls(
    {
      ...{ provider, begun, log: () => undefined, mayScale: () => core.mayScale },
      invite: () => "builder://join/test",
      push: (input) => {
        point();
        pump.push(input);
        point();
      },
    },
    { ...providerCallDefaults, callMs: 5_000 },
  );
  pump.push({ kind: "wake" });
  pump.begin();
  setInterval(() => {
    const known = core.machines.map(({ id }) => id);
    const standing: Standing = { known, points };
    process.send?.(standing);
  }, 20);
}

process.on("message", (message: { nonce?: number; answer?: unknown; order?: CoordinatorOrder }) => {
  if (message.order !== undefined) start(message.order);
  if (message.nonce !== undefined) waiting.get(message.nonce)?.(message.answer);
});
process.on("disconnect", () => process.exit(0));
