// Notes as log lines: the core says what happened, this file says it in words.

import { tokenKey } from "../core/action.ts";
import { digestKey } from "../core/digest.ts";
import type { Note } from "../core/note.ts";
import type { RecordedDecision } from "../core/scaling-record.ts";
import type { Level } from "./logger.ts";

/** The level and the sentence of a note. */
export function describeNote(note: Note): { readonly level: Level; readonly text: string } {
  switch (note.name) {
    case "worker-linked":
      return { level: "info", text: `${note.worker} joined with ${note.slots} slots` };
    case "worker-lost":
      return note.actions === 0
        ? { level: "info", text: `${note.worker} left` }
        : {
            level: "warn",
            text: `${note.worker} is gone; ${note.actions} of its actions run elsewhere`,
          };
    case "worker-draining":
      return { level: "info", text: `${note.worker} is draining` };
    case "worker-launching": {
      const after = note.delayMs > 0 ? ` after ${note.delayMs} ms` : "";
      return { level: after ? "info" : "debug", text: `Starting worker-${note.slot}${after}` };
    }
    case "worker-ended":
      return { level: "warn", text: `worker-${note.slot} ended: ${note.why}` };
    case "action-refused":
      return {
        level: "warn",
        text: `Action ${tokenKey(note.token)} failed: ${note.failure.message}`,
      };
    case "action-retried":
      return { level: "warn", text: `Action ${tokenKey(note.token)} is retried: ${note.why}` };
    case "lease-expired":
      return {
        level: "warn",
        text: `${note.peer} did not renew action ${tokenKey(note.token)} in time`,
      };
    case "action-accepted":
    case "action-merged": {
      const how = note.name === "action-merged" ? "merged into" : "accepted as";
      const text = `Action ${digestKey(note.request.action)} ${how} ${tokenKey(note.token)}`;
      return { level: "debug", text };
    }
    case "action-abandoned": {
      const rest = note.last ? "given up" : "waited for by others still";
      return { level: "debug", text: `Action ${tokenKey(note.token)} is ${rest}` };
    }
    case "action-offered":
      return { level: "debug", text: `Action ${tokenKey(note.token)} offered to ${note.peers}` };
    case "action-bound":
      return {
        level: "debug",
        text: `Action ${tokenKey(note.token)} runs on ${note.worker} after ${note.waitMs} ms`,
      };
    case "action-done":
      return {
        level: "debug",
        text: `Action ${tokenKey(note.token)} ended in ${note.runMs} ms, exit ${note.exitCode ?? "none"}`,
      };
    case "scaling-decided":
      return describeDecision(note.decided);
    default:
      if (isRemakeNote(note)) return describeRemake(note);
      return isMachineNote(note) ? describeMachineNote(note) : describeMeshNote(note);
  }
}

type RemakeNote = Extract<Note, { name: `remake-${string}` }>;

function isRemakeNote(note: Note): note is RemakeNote {
  return note.name.startsWith("remake-");
}

function describeRemake(note: RemakeNote) {
  const { hash } = note.action;
  switch (note.name) {
    case "remake-begun": {
      const text = `Action ${hash} runs again: ${note.blobs} of the blobs it made are lost`;
      return { level: "info", text } as const;
    }
    case "remake-done":
      return { level: "info", text: `What action ${hash} made is there again` } as const;
    case "remake-failed": {
      const text = `What action ${hash} made is lost and was not made again: ${note.why}`;
      return { level: "warn", text } as const;
    }
  }
}

function describeDecision({ mode, decision }: RecordedDecision) {
  const { launch, drain, keep, because, heldBack } = decision;
  const count = launch["on-demand"] + launch.spot;
  const steps = [
    ...(count > 0 ? [`start ${count}`] : []),
    ...(drain.length > 0 ? [`drain ${drain.join(", ")}`] : []),
    ...(keep.length > 0 ? [`keep ${keep.join(", ")}`] : []),
  ];
  const what = steps.length > 0 ? steps.join(", ") : `${decision.target} wanted`;
  const held = heldBack === undefined ? "" : `; held back: ${heldBack.why}`;
  const level = mode === "off" || steps.length === 0 ? "debug" : "info";
  return { level, text: `Scaling: ${what}, because ${because}${held}` } as const;
}

type MachineNote = Extract<Note, { name: `machine-${string}` }>;

function isMachineNote(note: Note): note is MachineNote {
  return note.name.startsWith("machine-");
}

function describeMachineNote(note: MachineNote) {
  const { machine } = note;
  switch (note.name) {
    case "machine-launched":
      return { level: "info", text: `Machine ${machine} is asked for (${note.market})` } as const;
    case "machine-ready": {
      const text = `Machine ${machine} is a member after ${Math.round(note.bootMs / 1000)} s`;
      return { level: "info", text } as const;
    }
    case "machine-draining":
      return { level: "info", text: `Machine ${machine} takes nothing new` } as const;
    case "machine-kept":
      return { level: "info", text: `Machine ${machine} is wanted again and stays` } as const;
    case "machine-failed":
      return { level: "warn", text: `Machine ${machine}: ${note.why}` } as const;
    case "machine-ended":
      return { level: "info", text: `Machine ${machine} is gone` } as const;
  }
}

type MeshNote = Extract<
  Note,
  {
    name:
      | `member-${string}`
      | `steal-${string}`
      | `lease-${string}`
      | "work-stealing"
      | "woke-up"
      | "peer-refused";
  }
>;

function describeMeshNote(note: Exclude<MeshNote, { name: "lease-expired" }>) {
  switch (note.name) {
    case "member-alive":
      return { level: "info", text: `${note.member} is in the mesh` } as const;
    case "member-suspect":
      return { level: "info", text: `${note.member} is not heard; asking others` } as const;
    case "member-dead":
      return { level: "warn", text: `${note.member} is gone from the mesh` } as const;
    case "member-left":
      return { level: "info", text: `${note.member} left the mesh` } as const;
    case "member-ignored":
      return { level: "warn", text: `${note.peer} is not believed: ${note.why}` } as const;
    case "lease-taken":
      return { level: "info", text: `This node coordinates now (term ${note.term})` } as const;
    case "lease-lost":
      return { level: "info", text: `${note.leader} coordinates in place of this node` } as const;
    case "lease-seen":
      return { level: "debug", text: `${note.leader} coordinates (term ${note.term})` } as const;
    case "lease-ignored": {
      const text = `${note.peer} is not believed: it claims term ${note.term}`;
      return { level: "warn", text } as const;
    }
    case "work-stealing":
      return { level: "info", text: `Work stealing is ${note.on ? "on" : "off"}` } as const;
    case "steal-asked":
      return { level: "debug", text: `Asking ${note.victim} for ${note.room} actions` } as const;
    case "steal-granted":
      return { level: "debug", text: `${note.thief} takes ${note.count} actions` } as const;
    case "steal-empty":
      return { level: "debug", text: `${note.victim} has nothing to give` } as const;
    case "peer-refused": {
      const text = `${note.peer} gets nothing for ${Math.round(note.forMs / 1000)} s: ${note.why}`;
      return { level: "warn", text } as const;
    }
    case "woke-up": {
      const text = `This machine stood still for ${Math.round(note.pausedMs / 1000)} s`;
      return { level: "warn", text } as const;
    }
  }
}
