// Notes as figures for Prometheus: what the core decides, counted.

import type { Note } from "../core/note.ts";
import type { ScalingDecision } from "../core/scaling.ts";
import { counter, gauge, histogram, type Meter } from "./metric.ts";

/** Bound: workers that have series of their own. */
const workersMax = 200;

/** What there is to count of the core. */
export const coreMetrics = {
  accepted: counter("builder_core_actions_accepted_total", "Actions taken into the ledger.", {}),
  merged: counter(
    "builder_core_actions_merged_total",
    "Calls that wait for an equal action that was already under way.",
    {},
  ),
  ended: counter("builder_core_actions_ended_total", "Actions that ended, by how.", {
    result: ["succeeded", "failed", "refused"],
  }),
  stolen: counter(
    "builder_core_actions_stolen_total",
    "Actions accepted here that a worker of another host took.",
    {},
  ),
  retried: counter("builder_core_actions_retried_total", "Attempts that were repeated.", {}),
  remade: counter(
    "builder_core_actions_remade_total",
    "Actions that ran again because what they made was lost and wanted.",
    { event: ["begun", "done", "failed"] },
  ),
  offers: counter("builder_core_offers_total", "Reservations that workers were sent.", {}),
  wait: histogram(
    "builder_core_action_wait_seconds",
    "From accepting an action to a worker that runs it.",
    {},
  ),
  phase: histogram(
    "builder_core_action_phase_seconds",
    "How long each phase of an action took at its worker.",
    { phase: ["fetch", "set-up", "run", "store"] },
  ),
  leasesExpired: counter(
    "builder_core_leases_expired_total",
    "Attempts whose worker did not renew them in time.",
    {},
  ),
  workersLinked: counter("builder_core_workers_linked_total", "Workers that came.", {}),
  workersLost: counter("builder_core_workers_lost_total", "Workers that went.", {}),
  processesEnded: counter(
    "builder_core_worker_processes_ended_total",
    "Worker processes of this host that ended unasked.",
    {},
  ),
  steals: counter("builder_core_steals_total", "Requests for other hosts' work, by what came.", {
    event: ["asked", "granted", "empty"],
  }),
  given: counter(
    "builder_core_actions_given_total",
    "Actions that were offered to workers of other hosts because these had asked.",
    {},
  ),
  leases: counter("builder_core_coordinator_changes_total", "News of who coordinates.", {
    event: ["taken", "lost", "seen", "ignored"],
  }),
  memberChanges: counter("builder_core_member_changes_total", "Members that changed state.", {
    state: ["alive", "suspect", "dead", "left", "ignored"],
  }),
  peersRefused: counter(
    "builder_core_peers_refused_total",
    "Peers that are given nothing for a while.",
    {},
  ),
  paused: counter("builder_core_paused_seconds_total", "Time this process stood still.", {}),
  machines: counter("builder_core_machines_total", "What became of machines of a provider.", {
    event: ["launched", "ready", "draining", "kept", "failed", "ended"],
  }),
  boot: histogram("builder_core_machine_boot_seconds", "From a launch to a linked worker.", {}),
  decisions: counter(
    "builder_core_scaling_decisions_total",
    "Decisions about the number of workers that changed something, by what held them back.",
    {
      held: ["nothing", "max", "min", "velocity", "warm", "provider", "cut-off", "advise", "hold"],
    },
  ),
  scalingTarget: gauge("builder_core_scaling_target_machines", "Machines wanted.", {}),
  scalingLoad: gauge(
    "builder_core_scaling_load_ratio",
    "Busy and queued work as a share of ready slots, now and as forecast.",
    { when: ["now", "predicted"] },
  ),
  actions: gauge("builder_core_actions", "Unfinished actions accepted here.", {
    state: ["pending", "executing"],
  }),
  invocations: gauge("builder_core_invocations", "Builds that have unfinished actions here.", {}),
  workers: gauge("builder_core_workers", "Linked workers.", { state: ["ready", "draining"] }),
  slots: gauge("builder_core_slots", "Slots of linked workers.", { state: ["free", "busy"] }),
  workerSlots: gauge("builder_core_worker_busy_slots", "Slots of a worker that run actions.", {
    worker: workersMax,
  }),
  workerQueue: gauge("builder_core_worker_queued", "Reservations that a worker holds.", {
    worker: workersMax,
  }),
  members: gauge("builder_core_members", "Serving nodes of the mesh, this one included.", {
    state: ["alive", "suspect", "unreachable", "dead"],
  }),
  linked: gauge("builder_core_members_linked", "Other serving nodes with a link to this one.", {}),
  coordinates: gauge("builder_core_coordinator", "1 on the node that coordinates, else 0.", {}),
  term: gauge("builder_core_term", "The highest term heard of.", {}),
  stealing: gauge("builder_core_work_stealing", "1 where idle workers take others' work.", {}),
} as const;

/** Counts a note. */
export function meterNote(meter: Meter, note: Note): void {
  switch (note.name) {
    case "action-accepted":
      meter.add(coreMetrics.accepted, {});
      break;
    case "action-merged":
      meter.add(coreMetrics.merged, {});
      break;
    case "action-offered":
      meter.add(coreMetrics.offers, {}, note.peers.length);
      break;
    case "action-bound":
      meter.observe(coreMetrics.wait, {}, note.waitMs / 1000);
      if (note.stolen) meter.add(coreMetrics.stolen, {});
      break;
    case "action-done":
      meterPhases(meter, note);
      meter.add(coreMetrics.ended, { result: note.exitCode === 0 ? "succeeded" : "failed" });
      break;
    case "action-refused":
      meter.add(coreMetrics.ended, { result: "refused" });
      break;
    case "action-retried":
      meter.add(coreMetrics.retried, {});
      break;
    case "lease-expired":
      meter.add(coreMetrics.leasesExpired, {});
      break;
    case "worker-linked":
      meter.add(coreMetrics.workersLinked, {});
      break;
    case "worker-lost":
      meter.add(coreMetrics.workersLost, {});
      break;
    case "worker-ended":
      meter.add(coreMetrics.processesEnded, {});
      break;
    default:
      meterMeshNote(meter, note);
      break;
  }
}

function meterDecision(meter: Meter, decision: ScalingDecision): void {
  const { target, load, predictedLoad, heldBack } = decision;
  meter.add(coreMetrics.decisions, { held: heldBack?.by ?? "nothing" });
  meter.set(coreMetrics.scalingTarget, {}, target);
  meter.set(coreMetrics.scalingLoad, { when: "now" }, load);
  meter.set(coreMetrics.scalingLoad, { when: "predicted" }, predictedLoad);
}

function meterPhases(meter: Meter, note: Extract<Note, { name: "action-done" }>): void {
  const { spans, runMs } = note;
  if (spans === undefined) return;
  const observe = (phase: string, ms: number) =>
    meter.observe(coreMetrics.phase, { phase }, ms / 1000);
  observe("fetch", spans.fetchMs);
  observe("set-up", spans.setUpMs);
  observe("run", runMs);
  observe("store", spans.storeMs);
}

function meterMeshNote(meter: Meter, note: Note): void {
  switch (note.name) {
    case "remake-begun":
    case "remake-done":
    case "remake-failed":
      meter.add(coreMetrics.remade, { event: note.name.slice("remake-".length) });
      break;
    case "steal-asked":
    case "steal-empty":
      meter.add(coreMetrics.steals, { event: note.name.slice("steal-".length) });
      break;
    case "steal-granted":
      meter.add(coreMetrics.steals, { event: "granted" });
      meter.add(coreMetrics.given, {}, note.count);
      break;
    case "lease-taken":
    case "lease-lost":
    case "lease-seen":
    case "lease-ignored":
      meter.add(coreMetrics.leases, { event: note.name.slice("lease-".length) });
      break;
    case "member-alive":
    case "member-suspect":
    case "member-dead":
    case "member-left":
    case "member-ignored":
      meter.add(coreMetrics.memberChanges, { state: note.name.slice("member-".length) });
      break;
    case "machine-launched":
    case "machine-ready":
    case "machine-draining":
    case "machine-kept":
    case "machine-failed":
    case "machine-ended":
      meter.add(coreMetrics.machines, { event: note.name.slice("machine-".length) });
      if (note.name === "machine-ready") meter.observe(coreMetrics.boot, {}, note.bootMs / 1000);
      break;
    case "scaling-decided":
      meterDecision(meter, note.decided.decision);
      break;
    case "peer-refused":
      meter.add(coreMetrics.peersRefused, {});
      break;
    case "woke-up":
      meter.add(coreMetrics.paused, {}, note.pausedMs / 1000);
      break;
  }
}
