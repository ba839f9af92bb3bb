// A membership machine with a clock of its own, and what others tell it.

import type { Effect, Input } from "../../src/core/machine.ts";
import { Membership } from "../../src/core/membership.ts";
import { type MembershipProfile, membershipDefaults } from "../../src/core/membership-options.ts";
import type { MemberRecord, Message } from "../../src/core/message.ts";
import { createRng } from "../../src/core/rng.ts";

/** A record that a serving node may have. */
export function recordOf(peer: string, changes: Partial<MemberRecord> = {}): MemberRecord {
  const addresses = [`/dns4/${peer}/tcp/1`];
  return {
    peer,
    name: `host ${peer}`,
    addresses,
    incarnation: 50,
    version: 0,
    left: false,
    ...changes,
  };
}

/** A message that tells these. */
export function membersOf(...members: readonly MemberRecord[]): Message {
  return { kind: "members", members, workStealing: false, workStealingVersion: 0 };
}

/** A message that only turns work stealing on or off. */
export function switchTo(workStealing: boolean, workStealingVersion: number): Message {
  return { kind: "members", members: [], workStealing, workStealingVersion };
}

/** The message as it arrives. */
export function said(from: string, message: Message): Input {
  return { kind: "message", from, message };
}

/** A machine with a clock of its own. */
export class Member {
  readonly machine: Membership;
  nowMs = 1_000_000;

  constructor(changes: Partial<MembershipProfile> = {}) {
    const workStealing = { on: false, version: 0 };
    const profile = { self: "s", name: "self", serves: true, known: [], workStealing, ...changes };
    this.machine = new Membership({ profile, rng: createRng(7) }, membershipDefaults);
    this.tell({ kind: "wake" });
  }

  tell(input: Input): readonly Effect[] {
    return this.machine.handle(input, this.nowMs);
  }

  /** Links with a serving node and hears its record. */
  meet(peer: string, changes: Partial<MemberRecord> = {}): readonly Effect[] {
    const effects = this.tell({ kind: "linked", peer });
    return [...effects, ...this.tell(said(peer, membersOf(recordOf(peer, changes))))];
  }

  /** Lets time pass, waking it as often as it asks to. */
  pass(ms: number): readonly Effect[] {
    const endMs = this.nowMs + ms;
    const effects: Effect[] = [];
    while (this.machine.wakeAtMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.machine.wakeAtMs);
      effects.push(...this.tell({ kind: "wake" }));
    }
    this.nowMs = endMs;
    return effects;
  }

  stateOf(peer: string): string | undefined {
    return this.machine.members.find((member) => member.peer === peer)?.state;
  }
}
