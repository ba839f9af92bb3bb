// A node's part in running the mesh: who is in it and who coordinates, behind one handle.

import type { PeerId } from "./action.ts";
import { Election, type ElectionOptions, electionDefaults } from "./election.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import { Membership } from "./membership.ts";
import {
  type MembershipOptions,
  type MembershipProfile,
  membershipDefaults,
} from "./membership-options.ts";
import type { Rng } from "./rng.ts";

/** How a node takes part. Values left out are the modules' defaults. */
export interface CouncilOptions {
  /** True for a node that accepts actions; a mere worker only knows those that do. */
  readonly serves: boolean;
  /** Serving nodes known from before: of an invitation or of the last run; none when left out. */
  readonly known?: MembershipProfile["known"];
  /** Off and undecided when left out. */
  readonly workStealing?: MembershipProfile["workStealing"];
  readonly machineTag?: MembershipProfile["machineTag"];
  readonly membership?: Partial<MembershipOptions>;
  readonly election?: Partial<ElectionOptions>;
}

/** Membership, and election where the node serves. */
export class Council implements Machine {
  readonly membership: Membership;
  readonly election: Election | undefined;

  constructor(
    deps: { readonly self: PeerId; readonly name: string; readonly rng: Rng },
    options: CouncilOptions,
  ) {
    const { self, name, rng } = deps;
    const { serves, known = [], workStealing = { on: false, version: 0 }, machineTag } = options;
    const profile = { self, name, serves, known, workStealing, machineTag };
    this.membership = new Membership(
      { profile, rng },
      { ...membershipDefaults, ...options.membership },
    );
    if (!serves) return;
    const electorate = this.membership;
    const election = { ...electionDefaults, ...options.election };
    this.election = new Election({ self, rng, electorate }, election);
  }

  get wakeAtMs(): number {
    return Math.min(this.membership.wakeAtMs, this.election?.wakeAtMs ?? Number.POSITIVE_INFINITY);
  }

  /** The election looks at the members as they are after the input. */
  handle(input: Input, nowMs: number): readonly Effect[] {
    const machines = this.election ? [this.membership, this.election] : [this.membership];
    return machines.flatMap((machine) => {
      const isDue = input.kind !== "wake" || machine.wakeAtMs <= nowMs;
      return isDue ? machine.handle(input, nowMs) : [];
    });
  }
}
