// Scaling of a serving node, put together around its core: what its owner says and a schedule
// adds, the provider of machines, the memory of what was decided, and who may change it.

import { createProvider } from "../cloud/create-provider.ts";
import type { Provider } from "../cloud/provider.ts";
import { Autoscaler, autoscalerDefaults } from "../core/autoscaler.ts";
import { MeshError } from "../core/error.ts";
import type { FleetOptions } from "../core/fleet.ts";
import type { Input } from "../core/machine.ts";
import type { NodeOptions } from "../core/node.ts";
import type { Note } from "../core/note.ts";
import type { ProviderEffect } from "../core/provided-options.ts";
import { scalingDefaults } from "../core/scaling-settings.ts";
import type { ScalingControl } from "../ingress/mesh-control.ts";
import type { Log } from "../telemetry/logger.ts";
import { createScalingHistory } from "../telemetry/scaling-history.ts";
import { openBegunLaunches } from "./begun-launches.ts";
import type { ServeConfig } from "./config.ts";
import type { Member } from "./member.ts";
import { createProviderCalls, type ProviderCalls, providerCallDefaults } from "./provider-calls.ts";
import {
  configuredCloud,
  loadWishes,
  parseWishes,
  type ScalingWishes,
  saveWishes,
  scalingSettings,
} from "./scaling-config.ts";
import type { ServingMember } from "./serving-mesh.ts";

/** Scaling of one node. */
export interface Scaling {
  /** What the core is told at its start. */
  readonly core: Pick<NodeOptions, "fleet" | "provided" | "ledger">;
  onNote(note: Note): void;
  perform(effect: ProviderEffect): void;
  readonly control: ScalingControl;
  /** The provider's name for people; "" for worker processes of this host. */
  readonly providerName: string;
  /** Begins, with the member that was made with `core`. */
  begin(serving: ServingMember): void;
  close(): Promise<void>;
}

/** The schedule is looked at every so many ms. */
const scheduleMs = 30_000;
/** Lines of one page of the record, and their bytes: a message holds 4 MiB. */
const pageLinesMax = 5_000;
const pageBytesMax = 3 << 20;

/** What scaling works with. */
export interface ScalingDeps {
  readonly log: Log;
  readonly now: () => number;
  /** In place of the one that the configuration names, for tests. */
  readonly provider?: Provider;
}

/** How long a worker process takes until it is linked, before one was seen, in ms. */
const processBootMs = 1_000;

/** Prepares it; connects to nothing yet. Errors of the configuration as `configuredCloud`. */
export async function createScaling(
  deps: ScalingDeps,
  config: ServeConfig,
  mesh: {
    readonly folder: string;
    readonly id: Uint8Array;
    readonly name: string;
    readonly peer: string;
  },
): Promise<Scaling> {
  const { log, now } = deps;
  const { cloud } = config;
  let kept = config.findable ? loadWishes(config.store) : {};
  const wishes = (): ScalingWishes => ({ ...kept, ...config.scaling });
  const settings = () => scalingSettings(wishes(), cloud, new Date(now()));
  // Keys of one kind begin alike.
  const meshId = Buffer.from(mesh.id).toString("hex").slice(-12);
  // Two hosts may have one name; a Lease wants one holder.
  const holder = `${mesh.name} (${mesh.peer.slice(-8)})`;
  const provider =
    deps.provider ??
    (cloud && (await createProvider(configuredCloud(kept, cloud), { meshId, self: holder, now })));
  const begun = provider && openBegunLaunches(mesh.folder, now);
  const history = createScalingHistory(mesh.name);
  let member: Member | undefined;
  let calls: ProviderCalls | undefined;
  let timer: NodeJS.Timeout | undefined;
  const push = (input: Input) => member?.pump.push(input);
  const first = settings();
  const fleet: FleetOptions = {
    ...first,
    policy: createPolicy(first.bounds.idleMs, provider === undefined),
    slotsPerWorker: config.slots,
  };
  // Actions wait for a machine to boot, and for another one where that one failed.
  const { joinWithinMs } = providerCallDefaults;
  const provided = begun && { tag: meshId, bootMsMax: joinWithinMs, begun: begun.left };
  let told = JSON.stringify(first);

  /** Tells the core what counts now, where that is something else than it was. */
  function tell(): void {
    const next = settings();
    if (JSON.stringify(next) === told) return;
    told = JSON.stringify(next);
    push({ kind: "scaling", settings: next });
  }

  function change(next: ScalingWishes): void {
    // Whether it makes sense with what the command line says.
    scalingSettings({ ...next, ...config.scaling }, cloud, new Date(now()));
    if (config.findable) saveWishes(config.store, next);
    kept = next;
    tell();
  }

  return {
    core: { fleet, ...(provided && { provided, ledger: { noWorkersMs: 2 * joinWithinMs } }) },
    onNote: (note) => history.onNote(note, now()),
    perform: (effect) => calls?.perform(effect),
    providerName: provider?.name ?? "",
    control: createControl({
      wishes: () => kept,
      effective: settings,
      change,
      push,
      history,
      core: () => member?.core,
    }),
    begin: (serving) => {
      member = serving.member;
      const { core } = serving.member;
      if (provider !== undefined && begun !== undefined) {
        const invite = (expiresInMs: number) =>
          serving.control.invite({ role: "host", uses: 1, expiresInMs }).link;
        const mayScale = () => core.mayScale;
        calls = createProviderCalls({ provider, begun, invite, mayScale, push, log });
      }
      timer = setInterval(tell, scheduleMs).unref();
    },
    close: async () => {
      clearInterval(timer);
      await calls?.close();
    },
  };
}

/** The mesh's policy, for worker processes or for machines. */
function createPolicy(idleMs: number, isOfProcesses: boolean): Autoscaler {
  // Who lets idle workers go sooner than others wants fewer of them kept warm, too.
  const haste = Math.min(1, idleMs / scalingDefaults.idleMs);
  const warmMs = Math.round(autoscalerDefaults.warmMs * haste);
  // Bursts that a machine would come too late for start none: a process is there in a moment.
  const bootMsAssumed = isOfProcesses ? processBootMs : autoscalerDefaults.bootMsAssumed;
  return new Autoscaler({ ...autoscalerDefaults, warmMs, bootMsAssumed });
}

/** What whoever runs the node can ask of its scaling. */
function createControl(of: {
  readonly wishes: () => ScalingWishes;
  readonly effective: () => ReturnType<typeof scalingSettings>;
  readonly change: (wishes: ScalingWishes) => void;
  readonly push: (input: Input) => void;
  readonly history: ReturnType<typeof createScalingHistory>;
  readonly core: () => Member["core"] | undefined;
}): ScalingControl {
  return {
    scale: (floor) => {
      const { floor: _, ...rest } = of.wishes();
      of.change(parseWishes(JSON.stringify(floor === undefined ? rest : { ...rest, floor })));
    },
    configure: (json) => {
      const { floor } = of.wishes();
      const next = parseWishes(json);
      of.change(floor === undefined ? next : { ...next, floor });
    },
    configuration: () => JSON.stringify(of.wishes()),
    drain: (node, cancel) => {
      const core = of.core();
      if (core === undefined)
        throw new MeshError("UNAVAILABLE", "The node is starting. Try again.");
      const why = core.whyNoDrain(node, cancel);
      if (why !== undefined) throw new MeshError(why.code, why.message);
      of.push({ kind: "ask-drain", node, cancel });
    },
    record: (from, limit, decisionsOnly) => {
      const most = limit > 0 ? Math.min(limit, pageLinesMax) : pageLinesMax;
      const page = of.history.read(
        Math.max(0, from),
        most,
        decisionsOnly ? "decisions" : undefined,
      );
      let bytes = 0;
      const end = page.lines.findIndex((line) => {
        bytes += line.length;
        return bytes > pageBytesMax;
      });
      if (end < 0) return { ...page, lines: [...page.lines] };
      const lines = page.lines.slice(0, Math.max(1, end));
      return { ...page, lines, next: page.next - page.lines.length + lines.length };
    },
  };
}
