// One line per thing that happened, and a hash over all lines: two runs are the same run exactly
// when their hashes are equal. Numbers in lines are whole, so that every engine prints the same.

import { type Outcome, type Token, tokenKey } from "../src/core/action.ts";
import type { Effect, Input, Stage } from "../src/core/machine.ts";
import type { MemberRecord, Message } from "../src/core/message.ts";
import type { Note } from "../src/core/note.ts";

/** Hashes lines into 64 bits: two 32-bit lanes of the FNV-1a scheme with different constants. */
export class TraceHash {
  #high = 0x811c9dc5;
  #low = 0x9747b28c;
  #lines = 0;

  get lines(): number {
    return this.#lines;
  }

  add(line: string): void {
    this.#lines += 1;
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < line.length; i += 1) {
      const unit = line.charCodeAt(i);
      high = Math.imul(high ^ unit, 0x01000193);
      low = Math.imul((low << 5) ^ (low >>> 27) ^ unit, 0x85ebca6b);
    }
    this.#high = Math.imul(high ^ 0x0a, 0x01000193);
    this.#low = low ^ high;
  }

  /** 16 hexadecimal digits. */
  read(): string {
    return [this.#high, this.#low].map((n) => (n >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

/** An input in a few words. */
export function describeInput(input: Input): string {
  switch (input.kind) {
    case "message":
      return `${describeMessage(input.message)} from ${input.from}`;
    case "linked":
    case "unlinked":
      return `${input.kind} ${input.peer}`;
    case "submit":
      return `submit ${input.operation}`;
    case "abandon":
      return `abandon ${input.operation}`;
    case "executed":
      return `executed ${tokenKey(input.token)} ${describeOutcome(input.outcome)}`;
    case "launched":
      return `launched ${input.slot}`;
    case "terminated":
      return `terminated ${input.slot} (${input.why})`;
    default:
      return input.kind;
  }
}

/** An effect in a few words. */
export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case "send":
      return `${describeMessage(effect.message)} to ${effect.to}`;
    case "execute":
    case "cancel":
      return `${effect.kind} ${tokenKey(effect.token)}`;
    case "publish":
      return `tell ${effect.operations.join(", ")}: ${describeStage(effect.stage)}`;
    case "launch":
    case "retire":
    case "pause":
    case "resume":
      return `${effect.kind} ${effect.slot}`;
    case "provide":
      return `provide ${effect.token}`;
    case "dismiss":
      return `dismiss ${effect.ids.join(" ")}`;
    case "examine":
      return `examine ${effect.operation}`;
    case "prepare":
      return `prepare ${effect.job}`;
    case "settled":
      return `settled ${effect.want}`;
    case "list":
    case "depart":
      return effect.kind;
    case "dial":
      return `dial ${effect.peer}`;
    case "note":
      return `note ${describeNote(effect.note)}`;
  }
}

/** A message in a few words, the names as in docs/protocol.md. */
export function describeMessage(message: Message): string {
  switch (message.kind) {
    case "load":
      return `Load free ${message.free}/${message.slots} queued ${message.queued}${
        message.draining ? " draining" : ""
      }`;
    case "renew":
      return `Renew ${message.tokens.map(tokenKey).join(" ")}`;
    case "done":
      return `Done ${tokenKey(message.token)} ${describeOutcome(message.outcome)}`;
    case "offer":
      return `Offer ${tokenKey(message.token)}`;
    case "claim":
      return `Claim ${tokenKey(message.token)}`;
    case "bound":
      return `Bound ${tokenKey(message.token)}`;
    case "gone":
      return `Gone ${tokenKey(message.token)}`;
    case "cancel":
      return `Cancel ${tokenKey(message.token)}`;
    default:
      return describeMeshMessage(message);
  }
}

function describeMeshMessage(
  message: Extract<
    Message,
    { kind: "members" | "probe" | "probed" | "lease" | "drain" | "steal" | "granted" | "lifeline" }
  >,
): string {
  switch (message.kind) {
    case "members":
      return describeMembers(message.members);
    case "probe":
      return `Probe ${message.peer}`;
    case "probed":
      return `Probed ${message.peer} ${message.linked ? "linked" : "not linked"}`;
    case "lease":
      return `Lease of term ${message.term}, rank ${message.rank}`;
    case "drain":
      return `Drain ${message.phase} ${message.worker || "all"}`;
    case "steal":
      return `Steal ${message.nonce} for ${message.room}`;
    case "granted":
      return `Granted ${message.nonce} ${message.count}`;
    case "lifeline":
      return `Lifeline ${message.on ? `on for ${message.room}` : "off"}`;
  }
}

/** The first few, and how many there are: a list of hundreds is no line to read. */
function describeMembers(members: readonly MemberRecord[]): string {
  const first = members.slice(0, 5).map(({ peer, left }) => (left ? `-${peer}` : peer));
  return `Members ${members.length}: ${first.join(" ")}`;
}

function describeOutcome(outcome: Outcome): string {
  return outcome.kind === "result"
    ? `exit ${outcome.exitCode ?? "none"} after ${outcome.runMs} ms`
    : `fault ${outcome.failure.code}`;
}

function describeStage(stage: Stage): string {
  switch (stage.kind) {
    case "queued":
      return "queued";
    case "executing":
      return `executing on ${stage.worker}`;
    case "completed":
      return `completed by ${stage.worker}, ${describeOutcome(stage.outcome)}`;
    case "failed":
      return `failed ${stage.failure.code}: ${stage.failure.message}`;
  }
}

function describeNote(note: Note): string {
  const words = Object.entries(note).filter(([name]) => name !== "name" && name !== "request");
  return [note.name, ...words.map(([name, value]) => `${name} ${describeValue(value)}`)].join(" ");
}

function describeValue(value: unknown): string {
  if (isToken(value)) return tokenKey(value);
  if (typeof value === "object" && value !== null && "code" in value) return String(value.code);
  return Array.isArray(value) ? value.join("+") : String(value);
}

function isToken(value: unknown): value is Token {
  return typeof value === "object" && value !== null && "hop" in value;
}
