// What membership is told at its start: the times, the bounds, and who this node is.

import type { PeerId } from "./action.ts";
import type { DiallingOptions } from "./dialling.ts";
import type { MemberRecord } from "./message.ts";
import type { OpenLinksOptions } from "./open-links.ts";

/** Times and bounds of membership. */
export interface MembershipOptions extends DiallingOptions, OpenLinksOptions {
  /** Serving nodes known at once; further ones are ignored. */
  readonly membersMax: number;
  /** A suspect that nobody hears for so many ms is dead; longer in a mesh of more than ten. */
  readonly suspicionMs: number;
  /** Peers that are asked about a suspect. */
  readonly probesMax: number;
  /** Others are asked again about an unreachable member after so many ms; up to 16 times that. */
  readonly reprobeMs: number;
  /** What is known is told to one random linked serving node about every so many ms. */
  readonly exchangeMs: number;
  /** Up to so many records the whole table is told; a mesh of more is a large one. */
  readonly wholeTableMax: number;
  /** Records that are told once a link opens, in a large mesh: the newest. */
  readonly introducedMax: number;
  /** Records that are told in an exchange, in a large mesh: the newest. */
  readonly newestMax: number;
  /** News of others go on to all linked peers, or to so many random ones where there are more. */
  readonly spreadMax: number;
  /** A dead member is forgotten after so many ms; one never linked after `strangerMs`. */
  readonly deadMs: number;
  readonly strangerMs: number;
  /** How far ahead of this node's clock another may have started, in ms. */
  readonly clockAheadMs: number;
}

/** The defaults. */
export const membershipDefaults: MembershipOptions = {
  dialMs: 100,
  dialMsMax: 60_000,
  dialTimeoutMs: 30_000,
  dialsMax: 32,
  steadyLinkMs: 5_000,
  membersMax: 1_024,
  suspicionMs: 4_000,
  probesMax: 3,
  reprobeMs: 2_000,
  introduceMs: 5_000,
  attentionMax: 4_096,
  attentionPerS: 100,
  exchangeMs: 30_000,
  wholeTableMax: 100,
  introducedMax: 16,
  newestMax: 64,
  spreadMax: 32,
  deadMs: 86_400_000,
  strangerMs: 600_000,
  clockAheadMs: 30 * 86_400_000,
};

/** Who a node is to the mesh. */
export interface MembershipProfile {
  readonly self: PeerId;
  /** Name for people. */
  readonly name: string;
  /** False for a mere worker: it knows the serving nodes and is not told about. */
  readonly serves: boolean;
  /** Serving nodes known from before: of the invitation, of the last run. Hints until linked. */
  readonly known: readonly MemberRecord[];
  /** Names of machines that the mesh starts begin with it; undefined where it starts none. */
  readonly machineTag?: string | undefined;
  /** Whether idle workers take work of other hosts; `version` in Unix ms, 0 where undecided. */
  readonly workStealing: { readonly on: boolean; readonly version: number };
}
